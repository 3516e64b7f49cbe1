"""What `tillroll.events` exports."""

import tillroll.events
from tillroll.contract.registry import load_contract
from tillroll.events import EVENTS, Event, _models


def test_every_record_of_the_contract_is_a_class_with_its_name_topic_and_doc() -> None:
    contract = load_contract()
    assert set(EVENTS) == set(contract.records)
    for record in contract.records:
        model = getattr(tillroll.events, record)
        assert issubclass(model, Event)
        assert (model.record, model.topic) == (record, contract.latest(record).topic)
        assert " ".join((model.__doc__ or "").split()) == contract.latest(record).type.doc


def test_every_exported_name_is_there_and_every_model_is_exported() -> None:
    assert all(hasattr(tillroll.events, name) for name in tillroll.events.__all__)
    assert set(_models.__all__) <= set(tillroll.events.__all__)
    assert len(tillroll.events.__all__) == len(set(tillroll.events.__all__))


def test_fields_stand_in_the_order_of_the_schema_with_their_docs() -> None:
    contract = load_contract()
    for record, model in EVENTS.items():
        fields = contract.latest(record).type.fields
        assert list(model.model_fields) == [field.name for field in fields]
        assert [model.model_fields[f.name].description for f in fields[10:]] == [f.doc for f in fields[10:]]
