-- What a store sells is carried out there; the rest is shipped.
SELECT order_number AS event, sku AS line_id, sku, 'PRODUCT' AS kind,
       CASE WHEN order_channel = 'store' THEN 'CARRY_OUT' ELSE 'SHIP' END AS fulfilment,
       order_location_id AS location_id, quantity, minor(unit_price) AS unit_price_minor, minor(amount) AS amount_minor
FROM lines JOIN orders USING (order_number)
ORDER BY event, item;
