"""`python -m langchain_mistral_imagegen` is the command `mistral-imagegen`."""

import sys

from langchain_mistral_imagegen._cli.main import main

sys.exit(main())
