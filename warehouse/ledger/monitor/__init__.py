"""What looks at drift found."""
