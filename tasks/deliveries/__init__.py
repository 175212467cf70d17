"""Places that finished exports are delivered to: folders, object stores and SFTP servers."""
