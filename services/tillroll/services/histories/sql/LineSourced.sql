-- Catalog and web: every line is promised by its warehouse as soon as the order is placed.
SELECT order_number AS event,
       event_digest('tpcds/' || order_channel, 'LineSourced', order_id, 0) AS digest,
       'tpcds/' || order_channel AS source,
       order_channel AS channel,
       placed_at AS occurred_at,
       order_business_date AS business_date,
       order_id, order_channel, order_business_date, order_location_id, currency
FROM orders
WHERE order_business_date IS NOT NULL AND order_channel <> 'store'
ORDER BY event;
