"""``make stack``: everything that trimtab runs on, grown, on one machine without containers; for trial and for tests.

In this order, each waited for before the next: PostgreSQL (databases ``prefect``, ``lake``, ``ledger``), an S3 server, a Dask
scheduler with two workers, Prefect's server on that PostgreSQL, the deployments and automations, a Prefect worker, the
console. One that ends is started again, as systemd would; all are stopped in reverse order.

All of it is under one folder, ``var/stack``: ``logs/``, ``home/`` (``TRIMTAB_HOME``),
``env`` (what another terminal needs, passwords included, for its owner only). Passwords are drawn anew at each start and
never stand on a command line. Everything listens on this machine only.

No process manager does this: honcho starts all parts at once and ends all when one ends; supervisor starts without waiting for
what answers; circus, supervisor and mirakuru leave alive what ignored their signal or is in a session of its own, as each run
of a Prefect worker is. And none of them finds what it left behind when it was killed itself. So ``programs`` is by hand.

Known limits
------------
* The S3 server is moto's. It keeps objects in memory and admits whoever reaches it, so a start without ``--s3`` begins
  with an empty lake and an empty ledger; Prefect's database and the landing folder stay.
* Dask's scheduler takes work from whoever reaches its port, as it does by default: not for a machine that others log in to.
"""
