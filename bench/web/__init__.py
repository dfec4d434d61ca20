"""The desk on the wire: the bench PC's HTTP interface and page, in a process of their own (:mod:`bench.web.apart`).

Nothing here is in the control path. It asks the bench through :class:`bench.daemon.desk.Desk` alone, so that slow, dead
or hostile clients can change nothing for the guard, the log and a stop.
"""
