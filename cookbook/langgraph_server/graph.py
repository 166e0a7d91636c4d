"""The graph of a LangGraph server: it draws, stores, and does not pay twice. `client.py` talks to it.

Costs one image for each turn on the real API. Run (after `pip install 'langgraph-cli[inmem]'`):
`cd cookbook/langgraph_server; MISTRAL_API_KEY=... langgraph dev --no-browser`. Without a key, also run
`python -m langchain_mistral_imagegen.sandbox --port 8080`, and set MISTRAL_API_KEY=sandbox and
MISTRAL_BASE_URL=http://127.0.0.1:8080.
"""

from langchain_mistral_imagegen import ChatMistralConversations, create_image_graph

# The server brings its own checkpointer.
graph = create_image_graph(ChatMistralConversations()).compile()
