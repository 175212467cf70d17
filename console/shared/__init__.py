"""What pages and API share: the way to the stores, guards of requests, words and charts."""
