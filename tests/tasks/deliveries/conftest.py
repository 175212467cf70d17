from tests.support.delivery_scene import place
from tests.support.servers import _no_settings_of_mine, s3, s3_server, sshd, sshd_server

__all__ = ["_no_settings_of_mine", "place", "s3", "s3_server", "sshd", "sshd_server"]
