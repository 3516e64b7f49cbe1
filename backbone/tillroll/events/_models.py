"""The event types. Made from the schemas by `tillroll schema generate`; change those instead."""

from typing import ClassVar, Literal

from pydantic import Field

from tillroll.events.base import (
    BookedEvent,
    Currency,
    Date,
    Event,
    Long,
    Name,
    Number,
    Part,
    Text,
    Time,
    Uuid,
)

__all__ = [
    "EVENTS",
    "CancelledLine",
    "ConsentChanged",
    "CustomerReference",
    "Delivery",
    "DispositionedLine",
    "ErasureRequested",
    "EventCorrected",
    "ExchangeLinked",
    "Fulfilment",
    "IdentityLinked",
    "IdentityUnlinked",
    "LineKind",
    "LineRejected",
    "LineSourced",
    "LineSubstituted",
    "LineUnits",
    "LocationDescribed",
    "OrderDetailsChanged",
    "OrderHeld",
    "OrderLine",
    "OrderLineAdded",
    "OrderLineCancelled",
    "OrderPlaced",
    "OrderReleased",
    "ParcelDelivered",
    "ParcelShipped",
    "PaymentAuthorized",
    "PaymentCaptured",
    "PaymentVoided",
    "PickupCollected",
    "PickupLapsed",
    "PickupReady",
    "ProductDescribed",
    "RefundIssued",
    "RefundReversed",
    "RejectedUnits",
    "ReleasedUnits",
    "ReservationExpired",
    "ReservationMade",
    "ReservationReleased",
    "ReturnDispositioned",
    "ReturnLine",
    "ReturnReceived",
    "ReturnRequested",
    "SafetyStockSet",
    "StockAdjusted",
    "StockAlertCancelled",
    "StockAlertRequested",
    "StockCounted",
    "StockReceived",
    "SubstitutedLine",
    "TransactionVoided",
    "TransferClosed",
    "TransferReceived",
    "TransferShipped",
    "VoidedEvent",
]


class CustomerReference(Part):
    """One way to recognise a customer. Personal values stand as keyed hashes only."""

    kind: Text = Field(
        description="What the value is: account, loyalty, email, phone, device, receipt; open."
    )
    value: Text = Field(
        description="The number or, for email and phone, key id and keyed hash of the normalised value."
    )


LineKind = Literal["PRODUCT", "CHARGE"]
"""PRODUCT: units of a sku. CHARGE: money only, such as postage; never units, never stock."""


class ReturnLine(Part):
    """Goods or money of one line that comes back."""

    line_id: Name = Field(description="The line of the order, or of the return where there is no order.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    kind: LineKind = Field(description="Whether the line is goods or a charge.")
    location_id: Text = Field(description="The place that receives it; empty if none does.")
    quantity: Long | None = Field(
        default=None, description="Units; null where that is not known, and counted as such."
    )
    amount_minor: Long | None = Field(
        default=None, description="What the line is worth. In minor units; null where that is not known."
    )
    reason: Text | None = Field(default=None, description="Why it comes back; open.")


class RejectedUnits(Part):
    """Units of one line that a place cannot provide."""

    line_id: Name = Field(description="The line, unique in its order.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place that cannot provide them.")
    quantity: Long | None = Field(
        default=None, description="Units; null where that is not known, and counted as such."
    )
    reason: Text | None = Field(default=None, description="Why; open.")


class LineUnits(Part):
    """Units of one line at one place."""

    line_id: Name = Field(description="The line, unique in its order.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place that keeps, sends or hands out the units.")
    quantity: Long | None = Field(
        default=None, description="Units; null where that is not known, and counted as such."
    )


class SubstitutedLine(Part):
    """A line and the one that stands for it."""

    line_id: Name = Field(description="The line, unique in its order.")
    sku: Name = Field(description="What was ordered.")
    location_id: Text = Field(description="The place that substitutes it; empty if none does.")
    quantity: Long | None = Field(
        default=None, description="Units; null where that is not known, and counted as such."
    )
    substitute_line_id: Name = Field(description="The line that stands for it.")
    substitute_sku: Name = Field(description="What the customer gets instead.")


class Delivery(Part):
    """Where and how an order goes, without an address."""

    country: Text | None = Field(default=None, description="ISO 3166-1 alpha-2 code of the country.")
    postcode_area: Text | None = Field(
        default=None, description="The part of the postcode that names an area, never a house."
    )
    promise: Text | None = Field(
        default=None, description="What was promised, such as next-day or 2011-12-24; open."
    )


Fulfilment = Literal["CARRY_OUT", "SHIP", "PICKUP"]
"""CARRY_OUT: taken along at the sale. SHIP: sent. PICKUP: collected later."""


class OrderLine(Part):
    """One line of an order as it was sold."""

    line_id: Name = Field(description="The line, unique in its order.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    kind: LineKind = Field(description="Whether the line is goods or a charge.")
    fulfilment: Fulfilment = Field(
        description="How the customer gets it; only products carried out move stock at the sale."
    )
    location_id: Text = Field(description="The place it was carried out of; empty if it was not.")
    quantity: Long | None = Field(
        default=None, description="Units; null where that is not known, and counted as such."
    )
    unit_price_minor: Long | None = Field(default=None, description="Price of one unit in minor units.")
    amount_minor: Long | None = Field(
        default=None, description="Gross amount of the line. In minor units; null where that is not known."
    )


class ReleasedUnits(Part):
    """Units that a place need not keep any more."""

    location_id: Text = Field(description="The place that kept them.")
    quantity: Long = Field(description="Units released.")


class CancelledLine(Part):
    """What is cancelled of one line."""

    line_id: Name = Field(description="The line, unique in its order.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    kind: LineKind = Field(description="Whether the line is goods or a charge.")
    location_id: Text = Field(description="The place it would have been carried out of; empty otherwise.")
    quantity: Long | None = Field(
        default=None, description="Units; null where that is not known, and counted as such."
    )
    amount_minor: Long | None = Field(
        default=None,
        description="Gross amount that is cancelled. In minor units; null where that is not known.",
    )
    released: list[ReleasedUnits] = Field(
        default_factory=list, description="Where reserved units are free again; empty if none were reserved."
    )
    reason: Text | None = Field(default=None, description="Why; open.")


class DispositionedLine(Part):
    """What becomes of units of one line."""

    line_id: Name = Field(description="The line of the order, or of the return where there is no order.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    kind: LineKind = Field(description="Whether the line is goods or a charge.")
    location_id: Text = Field(description="The place that receives it; empty if none does.")
    quantity: Long | None = Field(
        default=None, description="Units; null where that is not known, and counted as such."
    )
    amount_minor: Long | None = Field(
        default=None, description="What the line is worth. In minor units; null where that is not known."
    )
    reason: Text | None = Field(default=None, description="Why it comes back; open.")
    disposition: Text = Field(
        description="sellable: back on the shelf; anything else, such as damaged, is kept apart as unsellable; open.",
    )


class VoidedEvent(Part):
    """An event that is taken back."""

    topic: Text = Field(description="The topic it stands on.")
    event_id: Uuid = Field(description="Its event_id.")
    event: Text = Field(
        description="The event itself: its wire-format bytes in Base64 (RFC 4648, section 4)."
    )


class ConsentChanged(Event):
    """A customer allowed something, or took that back."""

    record: ClassVar[str] = "ConsentChanged"
    topic: ClassVar[str] = "customers"

    reference: CustomerReference = Field(description="The customer.")
    purpose: Text = Field(description="What for, such as stock-alerts or marketing; open.")
    granted: bool = Field(description="True: allowed from now on.")


class ErasureRequested(Event):
    """A customer asked for their personal data to be erased."""

    record: ClassVar[str] = "ErasureRequested"
    topic: ClassVar[str] = "customers"

    reference: CustomerReference = Field(description="The customer.")
    reason: Text | None = Field(default=None, description="Why; open.")


class EventCorrected(Event):
    """An event was wrong, and this is what it should have said. Stands on the topic, and has the key, of the
    event that it corrects.
    """

    record: ClassVar[str] = "EventCorrected"
    topic: ClassVar[str] = "any"

    corrects: Uuid = Field(description="event_id of the event that was wrong.")
    revision: Long = Field(
        description="1 for the first correction of an event, 2 for the next; the highest holds."
    )
    reason: Text | None = Field(default=None, description="Why; open.")
    key: Text = Field(description="Key of the corrected event, and of this one.")
    original: Text = Field(
        description="The revision that is replaced: its wire-format bytes in Base64 (RFC 4648, section 4)."
    )
    replacement: Text | None = Field(
        default=None,
        description="What holds instead, with the same event_id and key, in the same encoding; null: nothing, the event is void.",
    )


class ExchangeLinked(BookedEvent):
    """A return and a new order belong together: an exchange."""

    record: ClassVar[str] = "ExchangeLinked"
    topic: ClassVar[str] = "returns"

    return_id: Name = Field(description="The return, by the number that was given to it.")
    order_id: Name | None = Field(
        default=None, description="The order that it concerns; null where that is not known."
    )
    order_channel: Text | None = Field(
        default=None, description="The channel in which that order was placed."
    )
    order_business_date: Date | None = Field(
        default=None, description="The book day on which that order was placed."
    )
    order_location_id: Text = Field(
        default="", description="The place that sold that order; empty if none did or it is not known."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    customer: list[CustomerReference] = Field(
        default_factory=list,
        description="All ways in which the customer is known here; empty for a shopper who stayed unknown.",
    )
    exchange_order_id: Name = Field(description="The order that the customer placed instead.")
    lines: list[ReturnLine] = Field(description="What is exchanged.")


class IdentityLinked(Event):
    """Two references were proven to be one customer."""

    record: ClassVar[str] = "IdentityLinked"
    topic: ClassVar[str] = "customers"

    a: CustomerReference = Field(description="One reference; the event is keyed by it.")
    b: CustomerReference = Field(description="The other.")
    evidence: Text | None = Field(
        default=None, description="What proves it, such as login or receipt-shown; open."
    )


class IdentityUnlinked(Event):
    """Two references turned out not to be one customer."""

    record: ClassVar[str] = "IdentityUnlinked"
    topic: ClassVar[str] = "customers"

    a: CustomerReference = Field(description="One reference; the event is keyed by it.")
    b: CustomerReference = Field(description="The other.")
    reason: Text | None = Field(default=None, description="Why; open.")


class LineRejected(BookedEvent):
    """A place that had taken on units of a line cannot provide them; they are reserved there no more."""

    record: ClassVar[str] = "LineRejected"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    lines: list[RejectedUnits] = Field(description="What is not provided.")


class LineSourced(BookedEvent):
    """A place took it on to provide units of a line; they are reserved there."""

    record: ClassVar[str] = "LineSourced"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    lines: list[LineUnits] = Field(description="What is provided, and where.")


class LineSubstituted(BookedEvent):
    """A line is served by another one. Says only which stands for which: the units are told by
    OrderLineCancelled and OrderLineAdded.
    """

    record: ClassVar[str] = "LineSubstituted"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    lines: list[SubstitutedLine] = Field(description="What is substituted.")


class LocationDescribed(Event):
    """A place of the retailer as it is from now on: store, warehouse, other."""

    record: ClassVar[str] = "LocationDescribed"
    topic: ClassVar[str] = "locations"

    location_id: Text = Field(description="The place.")
    name: Text = Field(description="What people call it.")
    kind: Text = Field(description="store, warehouse, locker; open.")
    latitude: Number | None = Field(default=None, description="Degrees north, WGS 84.")
    longitude: Number | None = Field(default=None, description="Degrees east, WGS 84.")
    opening: Text | None = Field(default=None, description="Opening hours, as the place writes them.")
    time_zone: Text | None = Field(
        default=None, description="IANA name, such as Europe/London; its book day goes by it."
    )


class OrderDetailsChanged(BookedEvent):
    """Payment method, language or delivery of an order changed. What is null stays as it was."""

    record: ClassVar[str] = "OrderDetailsChanged"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    payment_method: Text | None = Field(
        default=None, description="How the customer means to pay from now on; null: as before."
    )
    language: Text | None = Field(
        default=None, description="BCP 47 tag of the language from now on; null: as before."
    )
    delivery: Delivery | None = Field(
        default=None, description="Where and how it is delivered; null if it is not, or nothing is told."
    )


class OrderHeld(BookedEvent):
    """An order must not go on for now."""

    record: ClassVar[str] = "OrderHeld"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    reason: Text | None = Field(default=None, description="Why; open.")


class OrderLineAdded(BookedEvent):
    """Lines were added to an order after it was placed."""

    record: ClassVar[str] = "OrderLineAdded"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    lines: list[OrderLine] = Field(description="What was added.")


class OrderLineCancelled(BookedEvent):
    """Units or whole lines of an order were cancelled."""

    record: ClassVar[str] = "OrderLineCancelled"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    lines: list[CancelledLine] = Field(description="What was cancelled.")


class OrderPlaced(BookedEvent):
    """An order was placed, in whatever channel. Products carried out lower what is on hand at their place."""

    record: ClassVar[str] = "OrderPlaced"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    customer: list[CustomerReference] = Field(
        default_factory=list,
        description="All ways in which the customer is known here; empty for a shopper who stayed unknown.",
    )
    payment_method: Text | None = Field(default=None, description="How the customer means to pay; open.")
    language: Text | None = Field(
        default=None, description="BCP 47 tag of the language the customer is addressed in."
    )
    delivery: Delivery | None = Field(
        default=None, description="Where and how it is delivered; null if it is not, or nothing is told."
    )
    lines: list[OrderLine] = Field(description="What was ordered.")


class OrderReleased(BookedEvent):
    """A held order may go on."""

    record: ClassVar[str] = "OrderReleased"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    reason: Text | None = Field(default=None, description="Why; open.")


class ParcelDelivered(BookedEvent):
    """A parcel arrived at the customer."""

    record: ClassVar[str] = "ParcelDelivered"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    parcel_id: Name = Field(description="The parcel.")
    lines: list[LineUnits] = Field(description="What was in it, and the place it had left.")


class ParcelShipped(BookedEvent):
    """A parcel left a place: on hand there no more, reserved there no more."""

    record: ClassVar[str] = "ParcelShipped"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    parcel_id: Name = Field(description="The parcel.")
    carrier: Text | None = Field(default=None, description="Who carries it; open.")
    tracking: Text | None = Field(default=None, description="The carrier's number for it.")
    lines: list[LineUnits] = Field(description="What is in it, and the place it left.")


class PaymentAuthorized(BookedEvent):
    """Money for an order was promised."""

    record: ClassVar[str] = "PaymentAuthorized"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    payment_id: Name = Field(description="The payment, the same over its authorisation, capture and voiding.")
    method: Text = Field(description="How it is paid, such as card or gift-card; open.")
    amount_minor: Long | None = Field(
        default=None, description="What is promised. In minor units; null where that is not known."
    )


class PaymentCaptured(BookedEvent):
    """Money for an order was taken."""

    record: ClassVar[str] = "PaymentCaptured"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    payment_id: Name = Field(description="The payment, the same over its authorisation, capture and voiding.")
    method: Text = Field(description="How it is paid, such as card or gift-card; open.")
    amount_minor: Long | None = Field(
        default=None, description="What was taken. In minor units; null where that is not known."
    )


class PaymentVoided(BookedEvent):
    """A promise of money was taken back before it was captured."""

    record: ClassVar[str] = "PaymentVoided"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    payment_id: Name = Field(description="The payment, the same over its authorisation, capture and voiding.")
    method: Text = Field(description="How it is paid, such as card or gift-card; open.")
    amount_minor: Long | None = Field(
        default=None, description="What is promised no more. In minor units; null where that is not known."
    )


class PickupCollected(BookedEvent):
    """Units were handed to the customer: on hand there no more, reserved there no more."""

    record: ClassVar[str] = "PickupCollected"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    collector: Text | None = Field(
        default=None, description="Who collected: customer, proxy; open, never a name."
    )
    lines: list[LineUnits] = Field(description="What was handed over, and where.")


class PickupLapsed(BookedEvent):
    """Units were not collected in time; they are reserved no more."""

    record: ClassVar[str] = "PickupLapsed"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    lines: list[LineUnits] = Field(description="What was not collected, and where it waited.")


class PickupReady(BookedEvent):
    """Units wait for the customer at a place."""

    record: ClassVar[str] = "PickupReady"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    lines: list[LineUnits] = Field(description="What waits, and where.")


class ProductDescribed(Event):
    """A product as it is from now on."""

    record: ClassVar[str] = "ProductDescribed"
    topic: ClassVar[str] = "products"

    sku: Name = Field(description="The product, as every other event names it.")
    name: Text = Field(description="What people call it.")
    brand: Text | None = Field(default=None, description="Its brand.")
    category: Text | None = Field(default=None, description="What it is sold among.")
    size: Text | None = Field(default=None, description="Its size, as on the label.")
    colour: Text | None = Field(default=None, description="Its colour, as on the label.")


class RefundIssued(BookedEvent):
    """Money was given back. Keyed by its order, else by its return, else by itself."""

    record: ClassVar[str] = "RefundIssued"
    topic: ClassVar[str] = "orders"

    refund_id: Name = Field(description="The refund, by the number that was given to it.")
    return_id: Name | None = Field(
        default=None, description="The return that it pays for; null if there is none."
    )
    order_id: Name | None = Field(
        default=None, description="The order that it concerns; null where that is not known."
    )
    order_channel: Text | None = Field(
        default=None, description="The channel in which that order was placed."
    )
    order_business_date: Date | None = Field(
        default=None, description="The book day on which that order was placed."
    )
    order_location_id: Text = Field(
        default="", description="The place that sold that order; empty if none did or it is not known."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    location_id: Text = Field(default="", description="The place that pays it out; empty if none does.")
    method: Text | None = Field(default=None, description="How the money goes back; open.")
    amount_minor: Long | None = Field(
        default=None, description="What goes back. In minor units; null where that is not known."
    )
    customer: list[CustomerReference] = Field(
        default_factory=list,
        description="All ways in which the customer is known here; empty for a shopper who stayed unknown.",
    )


class RefundReversed(BookedEvent):
    """A refund did not take place after all."""

    record: ClassVar[str] = "RefundReversed"
    topic: ClassVar[str] = "orders"

    refund_id: Name = Field(description="The refund, by the number that was given to it.")
    return_id: Name | None = Field(
        default=None, description="The return that it pays for; null if there is none."
    )
    order_id: Name | None = Field(
        default=None, description="The order that it concerns; null where that is not known."
    )
    order_channel: Text | None = Field(
        default=None, description="The channel in which that order was placed."
    )
    order_business_date: Date | None = Field(
        default=None, description="The book day on which that order was placed."
    )
    order_location_id: Text = Field(
        default="", description="The place that sold that order; empty if none did or it is not known."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    location_id: Text = Field(default="", description="The place that pays it out; empty if none does.")
    method: Text | None = Field(default=None, description="How the money goes back; open.")
    amount_minor: Long | None = Field(
        default=None, description="What goes back. In minor units; null where that is not known."
    )
    customer: list[CustomerReference] = Field(
        default_factory=list,
        description="All ways in which the customer is known here; empty for a shopper who stayed unknown.",
    )


class ReservationExpired(Event):
    """A reservation ended by itself."""

    record: ClassVar[str] = "ReservationExpired"
    topic: ClassVar[str] = "stock"

    reservation_id: Name = Field(description="The reservation, the same from its making to its end.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place whose stock it is.")


class ReservationMade(Event):
    """Units were set aside at a place outside any order."""

    record: ClassVar[str] = "ReservationMade"
    topic: ClassVar[str] = "stock"

    reservation_id: Name = Field(description="The reservation, the same from its making to its end.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place whose stock it is.")
    quantity: Long = Field(description="Units set aside.")
    expires_at: Time | None = Field(
        default=None, description="When it is meant to end by itself; ReservationExpired says that it did."
    )


class ReservationReleased(Event):
    """A reservation was ended by somebody."""

    record: ClassVar[str] = "ReservationReleased"
    topic: ClassVar[str] = "stock"

    reservation_id: Name = Field(description="The reservation, the same from its making to its end.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place whose stock it is.")


class ReturnDispositioned(BookedEvent):
    """It was decided what becomes of goods that came back; sellable ones are on hand where they were
    received.
    """

    record: ClassVar[str] = "ReturnDispositioned"
    topic: ClassVar[str] = "returns"

    return_id: Name = Field(description="The return, by the number that was given to it.")
    order_id: Name | None = Field(
        default=None, description="The order that it concerns; null where that is not known."
    )
    order_channel: Text | None = Field(
        default=None, description="The channel in which that order was placed."
    )
    order_business_date: Date | None = Field(
        default=None, description="The book day on which that order was placed."
    )
    order_location_id: Text = Field(
        default="", description="The place that sold that order; empty if none did or it is not known."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    customer: list[CustomerReference] = Field(
        default_factory=list,
        description="All ways in which the customer is known here; empty for a shopper who stayed unknown.",
    )
    lines: list[DispositionedLine] = Field(description="What is decided on, and where it is.")


class ReturnReceived(BookedEvent):
    """Goods came back to a place. Moves no stock: that is for ReturnDispositioned."""

    record: ClassVar[str] = "ReturnReceived"
    topic: ClassVar[str] = "returns"

    return_id: Name = Field(description="The return, by the number that was given to it.")
    order_id: Name | None = Field(
        default=None, description="The order that it concerns; null where that is not known."
    )
    order_channel: Text | None = Field(
        default=None, description="The channel in which that order was placed."
    )
    order_business_date: Date | None = Field(
        default=None, description="The book day on which that order was placed."
    )
    order_location_id: Text = Field(
        default="", description="The place that sold that order; empty if none did or it is not known."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    customer: list[CustomerReference] = Field(
        default_factory=list,
        description="All ways in which the customer is known here; empty for a shopper who stayed unknown.",
    )
    lines: list[ReturnLine] = Field(description="What came back, and where.")


class ReturnRequested(BookedEvent):
    """A customer wants to bring something back."""

    record: ClassVar[str] = "ReturnRequested"
    topic: ClassVar[str] = "returns"

    return_id: Name = Field(description="The return, by the number that was given to it.")
    order_id: Name | None = Field(
        default=None, description="The order that it concerns; null where that is not known."
    )
    order_channel: Text | None = Field(
        default=None, description="The channel in which that order was placed."
    )
    order_business_date: Date | None = Field(
        default=None, description="The book day on which that order was placed."
    )
    order_location_id: Text = Field(
        default="", description="The place that sold that order; empty if none did or it is not known."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    customer: list[CustomerReference] = Field(
        default_factory=list,
        description="All ways in which the customer is known here; empty for a shopper who stayed unknown.",
    )
    lines: list[ReturnLine] = Field(description="What is to come back.")


class SafetyStockSet(Event):
    """How many units a place keeps back from sale."""

    record: ClassVar[str] = "SafetyStockSet"
    topic: ClassVar[str] = "stock"

    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place whose stock it is.")
    quantity: Long = Field(description="Units kept back from now on.")


class StockAdjusted(Event):
    """What is on hand was corrected by a difference."""

    record: ClassVar[str] = "StockAdjusted"
    topic: ClassVar[str] = "stock"

    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place whose stock it is.")
    quantity: Long = Field(description="Units more, or less if negative.")
    reference: Text | None = Field(default=None, description="The paper or the number it was booked under.")
    reason: Text | None = Field(default=None, description="Why; open.")


class StockAlertCancelled(Event):
    """An alert is not wanted any more."""

    record: ClassVar[str] = "StockAlertCancelled"
    topic: ClassVar[str] = "customers"

    alert_id: Name = Field(description="The alert.")
    reference: CustomerReference = Field(description="Who was to be told.")
    sku: Name = Field(description="What was wanted.")
    location_id: Text = Field(default="", description="Where it was wanted; empty for anywhere.")


class StockAlertRequested(Event):
    """A customer or a member of staff wants to hear when something can be had again."""

    record: ClassVar[str] = "StockAlertRequested"
    topic: ClassVar[str] = "customers"

    alert_id: Name = Field(description="The alert.")
    reference: CustomerReference = Field(description="Who is to be told.")
    sku: Name = Field(description="What is wanted.")
    location_id: Text = Field(default="", description="Where it is wanted; empty for anywhere.")
    language: Text | None = Field(default=None, description="BCP 47 tag of the language to tell it in.")
    expires_at: Time | None = Field(
        default=None, description="After this nobody wants to hear of it any more."
    )


class StockCounted(Event):
    """Units were counted: on hand is this many, with all that moved up to and including occurred_at."""

    record: ClassVar[str] = "StockCounted"
    topic: ClassVar[str] = "stock"

    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place whose stock it is.")
    quantity: Long = Field(description="Units counted.")
    reference: Text | None = Field(default=None, description="The paper or the number it was booked under.")


class StockReceived(Event):
    """Goods came in from outside."""

    record: ClassVar[str] = "StockReceived"
    topic: ClassVar[str] = "stock"

    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place whose stock it is.")
    quantity: Long = Field(description="Units that came in.")
    reference: Text | None = Field(default=None, description="The paper or the number it was booked under.")


class TransactionVoided(BookedEvent):
    """A whole transaction, such as a till ticket, was voided: the effects of the events that it names are
    taken back.
    """

    record: ClassVar[str] = "TransactionVoided"
    topic: ClassVar[str] = "orders"

    order_id: Name = Field(description="The order, by the number that its channel gave it.")
    order_channel: Text = Field(description="The channel in which the order was placed.")
    order_business_date: Date = Field(description="The book day on which the order was placed.")
    order_location_id: Text = Field(
        default="", description="The place that sold the order; empty if none did."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in the event.")
    reason: Text | None = Field(default=None, description="Why; open.")
    voided: list[VoidedEvent] = Field(description="The events that are taken back.")


class TransferClosed(Event):
    """Nothing more of a transfer is waited for."""

    record: ClassVar[str] = "TransferClosed"
    topic: ClassVar[str] = "stock"

    transfer_id: Name = Field(description="The transfer between two places.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place they were to arrive at.")
    quantity: Long = Field(description="Units that are given up.")


class TransferReceived(Event):
    """Goods of a transfer arrived, or are found missing."""

    record: ClassVar[str] = "TransferReceived"
    topic: ClassVar[str] = "stock"

    transfer_id: Name = Field(description="The transfer between two places.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place they arrived at.")
    origin_id: Text = Field(description="The place they came from.")
    received: Long = Field(description="Units that arrived.")
    missing: Long = Field(description="Units that should have arrived and did not.")


class TransferShipped(Event):
    """Goods left one place for another."""

    record: ClassVar[str] = "TransferShipped"
    topic: ClassVar[str] = "stock"

    transfer_id: Name = Field(description="The transfer between two places.")
    sku: Name = Field(description="What is sold; on a charge, its code.")
    location_id: Text = Field(description="The place they left.")
    destination_id: Text = Field(description="The place they go to.")
    quantity: Long = Field(description="Units that left.")


EVENTS: dict[str, type[Event]] = {
    "ConsentChanged": ConsentChanged,
    "ErasureRequested": ErasureRequested,
    "EventCorrected": EventCorrected,
    "ExchangeLinked": ExchangeLinked,
    "IdentityLinked": IdentityLinked,
    "IdentityUnlinked": IdentityUnlinked,
    "LineRejected": LineRejected,
    "LineSourced": LineSourced,
    "LineSubstituted": LineSubstituted,
    "LocationDescribed": LocationDescribed,
    "OrderDetailsChanged": OrderDetailsChanged,
    "OrderHeld": OrderHeld,
    "OrderLineAdded": OrderLineAdded,
    "OrderLineCancelled": OrderLineCancelled,
    "OrderPlaced": OrderPlaced,
    "OrderReleased": OrderReleased,
    "ParcelDelivered": ParcelDelivered,
    "ParcelShipped": ParcelShipped,
    "PaymentAuthorized": PaymentAuthorized,
    "PaymentCaptured": PaymentCaptured,
    "PaymentVoided": PaymentVoided,
    "PickupCollected": PickupCollected,
    "PickupLapsed": PickupLapsed,
    "PickupReady": PickupReady,
    "ProductDescribed": ProductDescribed,
    "RefundIssued": RefundIssued,
    "RefundReversed": RefundReversed,
    "ReservationExpired": ReservationExpired,
    "ReservationMade": ReservationMade,
    "ReservationReleased": ReservationReleased,
    "ReturnDispositioned": ReturnDispositioned,
    "ReturnReceived": ReturnReceived,
    "ReturnRequested": ReturnRequested,
    "SafetyStockSet": SafetyStockSet,
    "StockAdjusted": StockAdjusted,
    "StockAlertCancelled": StockAlertCancelled,
    "StockAlertRequested": StockAlertRequested,
    "StockCounted": StockCounted,
    "StockReceived": StockReceived,
    "TransactionVoided": TransactionVoided,
    "TransferClosed": TransferClosed,
    "TransferReceived": TransferReceived,
    "TransferShipped": TransferShipped,
}
