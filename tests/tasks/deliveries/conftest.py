from tests.support.delivery_scene import place

__all__ = ["place"]
