from .abandons import Abandons as Abandons
from .abandons import Deadline as Deadline
from .deliveries import Deliveries as Deliveries
from .exports import ExportPart as ExportPart
from .exports import Exports as Exports
