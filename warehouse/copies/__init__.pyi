from .backup import copy_catalogue as copy_catalogue
from .backup import copy_ledger as copy_ledger
from .backup import has_catalogue as has_catalogue
from .backup import has_ledger as has_ledger
from .backup import load_catalogue as load_catalogue
from .backup import load_ledger as load_ledger
from .backup import objects_at as objects_at
