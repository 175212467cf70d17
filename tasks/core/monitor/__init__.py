"""What has drifted out of its band on fresh prices."""
