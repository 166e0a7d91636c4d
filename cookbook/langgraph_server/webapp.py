"""The images of a LangGraph server, at `/images/{key}`: from the store of `graph.py`, which is the default one.

Costs nothing. `cd cookbook/langgraph_server; langgraph dev --no-browser` runs it with the graph:
`langgraph.json` names it as `http.app`. Whoever knows a key gets the image; pass `authorize` to ask for more.
"""

from starlette.applications import Starlette

from langchain_mistral_imagegen.web import image_routes

app = Starlette(routes=image_routes())
