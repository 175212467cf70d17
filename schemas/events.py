"""What tasks tell Prefect, for automations and alerts. No event names an account, or an amount of one."""

from enum import StrEnum


class EventName(StrEnum):
    """Names of events.

    Each is of a resource of Prefect that is named after what it is about: ``trimtab.run.<run>``, ``trimtab.place.<name>``,
    ``trimtab.executions.<source>``, ``trimtab.custodian.<name>``, ``trimtab.scope.<scope>``, ``trimtab.night.<date>``,
    ``trimtab.follower.<host>``, ``trimtab.halt``.
    """

    EXPORTED = "trimtab.exported"  #: an export of the run is whole
    EXPORT_HELD_BACK = "trimtab.export-held-back"  #: something that was approved in the run may not leave
    DELIVERED = "trimtab.delivered"  #: the place has all of an export
    DELIVERY_FAILED = "trimtab.delivery-failed"  #: the place does not have all of an export
    FILL_ALARM = "trimtab.fill-alarm"  #: a file of executions says what nobody asked for
    EXECUTIONS_REFUSED = "trimtab.executions-refused"  #: a file of executions cannot be used
    REVIEW_PENDING = "trimtab.review-pending"  #: proposals of the run wait for people; once a run
    REVIEW_REMINDER = "trimtab.review-reminder"  #: proposals wait shortly before a cut-off; once a cut-off
    DRIFT_BREACHED = "trimtab.drift.breached"  #: a look found accounts newly out of band: a run of the scope is due
    ORDERS_OVERDUE = "trimtab.orders-overdue"  #: accounts of the run wait for longer than policy allows for the last word on orders that left
    NIGHT_LATE = "trimtab.night-late"  #: the night is not done by its deadline; once a date
    FOLLOWER_SILENT = "trimtab.follower-silent"  #: nobody follows the price stream any more; once a silence
    HALTED = "trimtab.halted"  #: somebody threw the kill switch; once a halt
