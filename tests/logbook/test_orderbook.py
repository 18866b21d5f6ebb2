"""Which orders are pending, by the fold that the decider uses."""

from logbook.orderbook import OrderBook
from rights.ledger import Ledger
from rights.orders import CollectSections, SealBundle
from tests.logbook.stage import ADA, Stage
from tests.support.log_writer import eventful_log, person


def _applied(stage: Stage, book: OrderBook) -> OrderBook:
    for entry in stage.log.entries:
        book.apply(entry)
    return book


def test_the_book_and_the_decider_agree_after_every_entry() -> None:
    book = OrderBook()
    ledgers: dict[int, Ledger] = {}

    for entry in eventful_log(people=2).entries:
        partition = entry.decision.partition
        ledger = ledgers.setdefault(partition, Ledger(partition))
        ledger.apply(entry.decision, entry.events, entry.head)
        book.apply(entry)

        owed = {order for ledger in ledgers.values() for order in ledger.pending_orders()}
        assert {pending.order for pending in book.all()} == owed


def test_only_wanted_orders_are_kept(stage: Stage) -> None:
    stage.pending()
    wanted = _applied(stage, OrderBook(lambda order: isinstance(order, SealBundle)))
    others = _applied(stage, OrderBook(lambda order: isinstance(order, CollectSections)))

    assert wanted.all() == ()
    assert {p.order.source for p in others.all() if isinstance(p.order, CollectSections)} == {
        "billing",
        "journal",
    }


def test_applying_tells_what_the_subject_owes_now(stage: Stage) -> None:
    stage.pending()
    book = OrderBook()

    owed = [book.apply(entry) for entry in stage.log.entries][-1]

    assert set(owed) == set(book.all())
    assert {(p.partition, p.seq) for p in owed} == {stage.place()}


def test_an_order_is_found_until_it_is_done(stage: Stage) -> None:
    order = stage.pending()
    book = _applied(stage, OrderBook())
    found = book.find(order.order_id)
    assert found is not None
    assert found.order == order

    stage.log.carry_out(ADA, while_owed=(CollectSections,))
    book = _applied(stage, OrderBook())

    assert book.find(order.order_id) is None
    assert not any(isinstance(p.order, CollectSections) for p in book.all())


def test_a_decision_about_nobody_owes_nothing(stage: Stage) -> None:
    book = OrderBook()

    assert [book.apply(entry) for entry in stage.log.entries] == [()] * len(stage.log.entries)


def test_a_refused_wish_leaves_no_trace_in_the_book(stage: Stage) -> None:
    stage.log.file_export(person(9), tenant="0" * 32)
    book = _applied(stage, OrderBook())

    assert stage.log.entries[-1].decision.code == "POLICY_MISSING"
    assert book.subject(person(9)) is None


def test_subjects_and_their_requests_can_be_looked_up(stage: Stage) -> None:
    order = stage.pending()
    book = _applied(stage, OrderBook(lambda _: False))

    subject = book.subject(ADA)
    assert subject is not None
    assert book.request(ADA, order.request_id) == subject.requests[order.request_id]
    assert book.request(ADA, "unknown") is None
    assert book.subject(person(99)) is None
    assert book.request(person(99), order.request_id) is None
