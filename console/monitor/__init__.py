"""The page of what happens between the nights: who follows the stream of prices, what is out of band now, and the runs that were asked for."""
