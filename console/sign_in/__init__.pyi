from .routes import sign_in_router as sign_in_router
