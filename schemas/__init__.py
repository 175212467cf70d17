"""What everything else agrees on: contracts, enums, policy, settings and errors. Imports nothing else of ours."""
