"""The fields of an extraction: what kind of value a field's name asks for, and which words beside a value speak for it or against it."""

from __future__ import annotations

import re
from typing import NamedTuple


class Field(NamedTuple):
    """One asked field: its kind, and the words of its name that say which of several values is meant."""

    name: str
    kind: str  # of `KINDS`, or "" where the name says nothing of the value's looks
    words: tuple[str, ...]  # lower case
    default: bool  # exactly the name of a default field


KINDS: dict[str, tuple[str, ...]] = {  # kind → words of field names that mean it; the first kind that fits is taken
    "email": ("email", "e-mail", "mail", "email address", "e mail"),
    "url": ("url", "website", "web page", "webpage", "homepage", "link", "site", "web address"),
    "iban": ("iban", "bank account", "account"),
    "tracking": ("tracking", "parcel number", "shipment", "consignment"),
    "customer": ("customer number", "customer id", "customer no", "client number", "client id", "account number", "member number", "membership", "member id", "account id"),
    "invoice": ("invoice", "invoice number", "bill number", "bill no", "document number", "invoice id", "rechnung", "rechnungsnummer", "facture", "receipt number"),
    "order": ("order", "order number", "order id", "booking", "booking code", "booking number", "reservation", "ticket", "case", "case number", "reference", "ref", "purchase order", "po", "confirmation number", "contract"),
    "percent": ("percent", "percentage", "discount", "rate", "interest"),
    "phone": ("phone", "telephone", "tel", "mobile", "cell", "number to call", "phone number", "fax", "call back", "contact number"),
    "time": ("time", "hour", "clock", "at what time", "arrival time", "start time", "o'clock"),
    "date": ("date", "day", "when", "due", "deadline", "birthday", "birth date", "dob", "datum", "until", "valid until", "expiry"),
    "amount": ("amount", "total", "sum", "price", "cost", "how much", "fee", "balance", "payment", "value", "betrag", "salary", "rent", "deposit", "budget", "tax", "vat", "charge", "money", "refund"),
    "street": ("street", "address", "street address", "road", "delivery address"),
    "postcode": ("postcode", "zip", "postal code", "zip code", "plz"),
    "city": ("city", "town", "place", "location", "destination", "venue", "origin"),
    "country": ("country", "nation", "nationality"),
    "company": ("company", "firm", "organisation", "organization", "business", "supplier", "employer", "vendor", "shop", "merchant", "manufacturer", "brand", "bank", "airline", "hotel", "school"),
    "seat": ("seat", "seat number"),
    "room": ("room", "room number", "flat", "apartment", "suite"),
    "quantity": ("quantity", "number of", "count", "qty", "how many", "pieces", "guests", "people", "persons", "nights", "age", "weight", "size", "duration"),
    "code": ("code", "serial", "serial number", "voucher", "id", "number", "model number", "article number", "sku", "part number", "licence plate", "license plate", "plate", "flight", "flight number", "gate", "vin"),
    "job": ("job", "role", "profession", "position", "occupation", "job title", "title"),
    "product": ("product", "item", "article", "goods", "model", "device", "object", "thing"),
    "name": ("name", "customer", "person", "client", "full name", "sender", "contact", "who", "recipient", "patient", "guest", "tenant", "author", "manager", "driver", "teacher", "doctor", "owner", "seller", "buyer", "agent", "employee", "colleague", "applicant", "candidate", "member", "contact person"),
}  # fmt: skip
LOOKS = {  # kind → the finder of its values, see patterns.FINDERS
    "email": "email", "url": "url", "iban": "iban", "tracking": "code", "customer": "code", "invoice": "code", "order": "code", "percent": "percent", "phone": "phone", "time": "time",
    "date": "date", "amount": "amount", "street": "street", "postcode": "number", "quantity": "number", "code": "code", "seat": "code", "room": "code",
}  # fmt: skip
CUES: dict[str, str] = {  # kind → words that stand beside its value
    "invoice": r"invoices?|inv\b\.?|bills?\b(?! to)|rechnung(?:snummer|snr)?|facture|factura|fattura|faktura|factuur|fatura|document (?:no|number)|statement|"
        r"credit note|RE\b|RG\b",
    "order": r"orders?|bookings?|reservations?|tickets?|case|ref(?:erence)?\b\.?|PO\b|purchase|confirmation|bestell(?:ung|nummer)|commande|contract|policy",
    "customer": r"customer|client|account|member(?:ship)?|kunden?(?:nummer|nr)?|subscriber|user",
    "tracking": r"track(?:ing)?|parcels?|shipment|consignment|package|waybill|sendung",
    "phone": r"phone|tel\b|telephone|mobile|cell|call|ring|reach|text|fax|number",
    "seat": r"seats?|sitting",
    "room": r"rooms?|flat|apartment|suite|apt\b",
    "code": r"code|serial|voucher|number|model|licen[cs]e|plate|flight|gate|coupon|pin|id\b",
    "postcode": r"post ?code|zip|plz",
    "amount": r"amount(?:s|ed)? ?(?:due|of|to)?|total|sum|grand total|balance|owe[sd]?|outstanding|pay(?:ment|able)?|paid|transfer(?:red)?|wired|settle[d]?|"
        r"invoice[d]?|charged?|bill(?:ed)?|price[d]?|costs?|fee|betrag|summe|montant|importe|due|comes to|came to|come to|deposit|refund|rent|"
        r"remit(?:ted)?|sent|sum of|worth|for",
    "date": r"dated?|due|on|by|until|till|from|since|before|after|issued|paid|of|deadline|datum|am|vom|le|payable|expires?|received|delivered|at",
    "quantity": r"quantity|qty|pieces|pcs|items|guests|people|persons|nights|count|x",
    "percent": r"discount|off|rate|interest|percent|vat|tax",
    "time": r"at|from|until|till|by|around|about|before|after|time|starts?|begins?|between|um",
}  # fmt: skip
AGAINST: dict[str, str] = {  # kind → words right before a value that speak against it
    "invoice": r"orders?|booking|reservation|ticket|customer|client|account|member(?:ship)?|track(?:ing)?|parcel|shipment|phone|tel|call|call me|mobile|room|flat|"
        r"seat|flight|gate|platform|model|serial|case|po|purchase order|iban|vat|tax|article|item|sku|voucher|coupon|version|page|street|st|zip|postcode|"
        r"meter|policy|contract|bus|line|apartment|unit|floor|suite|locker|plate|pin|isbn|bic|extension|ext|height|size|batch|project|quote|offer|route|"
        r"box|p\.o\. box|since|in|delivery note|code|coupon code|booking code|access code",
    "amount": r"opening balance|discount|saved?|fees? of|deposit|tip|instead of|previously|was|shipping|postage|vat|tax|incl(?:uding|\.)?|plus|limit|budget|of "
        r"which|late fee|was at|reminder fee|credit",
    "date": r"born(?: on)?|birthday|since|last|written|sent on|today is|order(?:ed)? (?:on|of)|founded",
    "order": r"invoice|inv|customer|client|account|phone|tel|track(?:ing)?|room",
    "customer": r"invoice|inv|order|booking|phone|tel|track(?:ing)?|room",
    "tracking": r"invoice|order|customer|client|phone|tel",
    "phone": r"invoice|order|customer|client|iban|fax|account|tracking|parcel|reference|ref",
    "email": r"not to|instead of|no longer|old (?:address|mail|e-mail|email)|formerly|never to|bounced|do not reply to|don't use",
}  # fmt: skip


_PLAIN = ("name", "email", "amount", "date", "invoice")  # names that ask for nothing closer


def field(name: str) -> Field:
    """What a field's name asks for."""
    low = re.sub(r"[_\-./]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)).lower().strip()
    bare = re.sub(r"\b(?:no|nr|num)\b\.?", "number", low)
    bare = "email" if bare in ("e mail", "mail address") else bare
    words = tuple(word for word in re.findall(r"\w+", low) if word not in ("the", "of", "a", "an", "is", "in", "your", "our", "number", "no", "id", "nr"))
    best = ""
    longest = 0
    for kind, meant in KINDS.items():
        for word in meant:
            if len(word) > longest and (bare == word or bare == word + "s" or re.search(rf"\b{re.escape(word)}\b", bare)):
                exact = bare in (word, word + "s")
                best, longest = kind, 1000 if exact else len(word)
    if re.search(r"\be ?mail\b", bare):
        best = "email"
    elif re.search(r"\b(?:phone|telephone|mobile|tel)\b", bare):
        best = "phone"
    elif re.search(r"\bdate\b|\bday\b", bare):
        best = "date"
    elif re.search(r"\bname\b", bare) and not re.search(r"\b(?:company|product|item|firm|shop|city|street|file|brand|event|project|pet|dog|cat)\b", bare):
        best = "name"
    elif re.search(r"\bamount\b|\bprice\b|\btotal\b", bare):
        best = "amount"
    return Field(name, best, words, bare in _PLAIN or best == "invoice")
