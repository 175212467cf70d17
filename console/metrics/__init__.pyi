from .metrics import metrics_router as metrics_router
