"""``make stack``: everything that trimtab runs on, grown, on one machine without containers; for trial and for tests.

In this order, each waited for before the next: PostgreSQL (databases ``prefect``, ``lake``, ``ledger``), an S3 server, a Dask
scheduler with two workers, Prefect's server on that PostgreSQL, the deployments and automations, a Prefect worker, the
console. One that ends is started again, as systemd would; all are stopped in reverse order.

All of it is under one folder, ``var/stack``: ``logs/``, ``run/`` (a file for each process id), ``home/`` (``TRIMTAB_HOME``),
``env`` (what another terminal needs, passwords included, for its owner only). Passwords are drawn anew at each start and
never stand on a command line. Everything listens on this machine only.

Known limits
------------
* The S3 server is moto's. It keeps objects in memory and admits whoever reaches it, so a start without ``--s3`` begins
  with an empty lake and an empty ledger; Prefect's database and the landing folder stay.
* Dask's scheduler takes work from whoever reaches its port, as it does by default: not for a machine that others log in to.
* Linux: what a killed stack leaves behind is found through ``/proc``.
"""
