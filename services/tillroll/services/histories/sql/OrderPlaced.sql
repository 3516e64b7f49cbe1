-- One order per ticket or order number.
SELECT order_number AS event,
       order_digest(order_id) AS digest,
       'tpcds/' || order_channel AS source,
       order_channel AS channel,
       placed_at AS occurred_at,
       order_business_date AS business_date,
       order_id, order_channel, order_business_date, order_location_id, currency, customer,
       CASE WHEN ca_country IS NOT NULL OR ca_zip IS NOT NULL
            THEN {country: CASE ca_country WHEN 'United States' THEN 'US' END, postcode_area: ca_zip[1:3], promise: NULL::VARCHAR}
            END AS delivery
FROM orders
LEFT JOIN customer_address ON ca_address_sk = ship_address
WHERE order_business_date IS NOT NULL
ORDER BY event;
