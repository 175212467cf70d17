from .place import DeliveryPlace as DeliveryPlace
from .place import open_place as open_place
