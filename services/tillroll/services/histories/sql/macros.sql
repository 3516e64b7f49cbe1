-- Names and ids that every query of the TPC-DS history shares.

-- What an event id is made of (tillroll.services.histories.ids gives it the form of a UUID, and a test holds it
-- equal to tillroll.events.event_id_for). OrderPlaced's derives from the order alone.
CREATE OR REPLACE TEMP MACRO event_digest(source, type, natural_key, ordinal) AS
    sha1(getvariable('event_namespace') || encode(concat_ws(chr(31), source, type, natural_key, ordinal)));

CREATE OR REPLACE TEMP MACRO order_digest(order_id) AS
    sha1(getvariable('event_namespace') || encode(concat_ws(chr(31), 'OrderPlaced', order_id)));

-- '' is no location: keys of read models are never null.
CREATE OR REPLACE TEMP MACRO store_location(store) AS coalesce('store-' || store, '');
CREATE OR REPLACE TEMP MACRO warehouse_location(warehouse) AS coalesce('warehouse-' || warehouse, '');

-- d_date_sk is a Julian day number (TPC-DS 2.6, date_dim): 2415021 is 1900-01-01.
CREATE OR REPLACE TEMP MACRO day_of(date_sk) AS DATE '1900-01-01' + CAST(date_sk - 2415021 AS INTEGER);

-- t_time_sk counts seconds since midnight; an event without a time stands at the start of its day.
CREATE OR REPLACE TEMP MACRO moment(day, time_sk) AS day + to_seconds(coalesce(time_sk, 0));

CREATE OR REPLACE TEMP MACRO minor(amount) AS CAST(amount * 100 AS BIGINT);

-- Customers are named by the retailer's own number: no personal data (tillroll.identity).
CREATE OR REPLACE TEMP MACRO customer_of(customer) AS
    CASE WHEN customer IS NULL THEN [] ELSE [{kind: 'account', value: 'tpcds-' || customer}] END;
