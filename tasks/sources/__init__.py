"""Where the inputs of a night come from: folders, object stores, databases and SFTP servers, each fetched to local files."""
