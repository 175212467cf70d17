from tests.support.servers import _no_settings_of_mine, postgres, postgres_server, s3, s3_server, sshd, sshd_server

__all__ = ["_no_settings_of_mine", "postgres", "postgres_server", "s3", "s3_server", "sshd", "sshd_server"]
