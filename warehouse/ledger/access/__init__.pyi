from .access import Access as Access
from .access import Failures as Failures
from .access import SessionRow as SessionRow
from .access import TokenRow as TokenRow
from .users import Users as Users
from .users import insert_user as insert_user
from .users import need_role as need_role
from .users import roles_in as roles_in
