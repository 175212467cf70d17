from .problems import add_problems as add_problems
from .routes import api_router as api_router
