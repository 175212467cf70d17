from .place import DeliveryPlace as DeliveryPlace
from .place import opened as opened
