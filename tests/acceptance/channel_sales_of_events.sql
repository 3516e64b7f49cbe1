-- channel_sales from the event frames, without any projection: tables are named as the records.
WITH sold AS (
    SELECT order_business_date AS business_date, order_channel AS channel, order_location_id AS location_id, currency,
           unnest(lines) AS line
    FROM OrderPlaced
), returned AS (
    SELECT business_date, channel, currency, unnest(lines) AS line FROM ReturnReceived
), facts AS (
    SELECT order_business_date AS business_date, order_channel AS channel, order_location_id AS location_id, currency,
           1 AS orders, 0 AS units, 0 AS gross_minor, 0 AS returned_units, 0 AS refunded_minor,
           0 AS unknown_quantities, 0 AS unknown_amounts
    FROM OrderPlaced
    UNION ALL
    SELECT business_date, channel, location_id, currency,
           0, CASE line.kind WHEN 'PRODUCT' THEN line.quantity END, line.amount_minor, 0, 0,
           CAST(line.kind = 'PRODUCT' AND line.quantity IS NULL AS INTEGER), CAST(line.amount_minor IS NULL AS INTEGER)
    FROM sold
    UNION ALL
    SELECT business_date, channel, line.location_id, currency,
           0, 0, 0, CASE line.kind WHEN 'PRODUCT' THEN line.quantity END, 0,
           CAST(line.kind = 'PRODUCT' AND line.quantity IS NULL AS INTEGER), 0
    FROM returned
    UNION ALL
    SELECT business_date, channel, location_id, currency, 0, 0, 0, 0, amount_minor, 0, CAST(amount_minor IS NULL AS INTEGER)
    FROM RefundIssued
)
SELECT business_date, channel, location_id, currency,
       CAST(sum(orders) AS BIGINT) AS orders,
       CAST(coalesce(sum(units), 0) AS BIGINT) AS units,
       CAST(coalesce(sum(gross_minor), 0) AS BIGINT) AS gross_minor,
       CAST(0 AS BIGINT) AS cancelled_units,
       CAST(0 AS BIGINT) AS cancelled_minor,
       CAST(coalesce(sum(returned_units), 0) AS BIGINT) AS returned_units,
       CAST(coalesce(sum(refunded_minor), 0) AS BIGINT) AS refunded_minor,
       CAST(sum(unknown_quantities) AS BIGINT) AS unknown_quantities,
       CAST(sum(unknown_amounts) AS BIGINT) AS unknown_amounts
FROM facts
GROUP BY business_date, channel, location_id, currency
ORDER BY business_date, channel, location_id, currency;
