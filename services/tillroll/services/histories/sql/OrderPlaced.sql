-- One order per ticket or order number; what a store sells is carried out there.
WITH wanted AS (
    SELECT order_number,
           list({line_id: sku, sku: sku, kind: 'PRODUCT',
                 fulfilment: CASE WHEN order_channel = 'store' THEN 'CARRY_OUT' ELSE 'SHIP' END,
                 location_id: order_location_id, quantity: quantity,
                 unit_price_minor: minor(unit_price), amount_minor: minor(amount)} ORDER BY item) AS lines
    FROM lines JOIN orders USING (order_number)
    WHERE order_business_date IS NOT NULL
    GROUP BY order_number
)
SELECT order_event_id(order_id) AS event_id,
       'tpcds/' || order_channel AS source,
       order_channel AS channel,
       placed_at AS occurred_at,
       order_business_date AS business_date,
       order_id, order_channel, order_business_date, order_location_id, currency, customer,
       CASE WHEN ca_country IS NOT NULL OR ca_zip IS NOT NULL
            THEN {country: CASE ca_country WHEN 'United States' THEN 'US' END, postcode_area: ca_zip[1:3], promise: NULL::VARCHAR}
            END AS delivery,
       wanted.lines
FROM wanted
JOIN orders USING (order_number)
LEFT JOIN customer_address ON ca_address_sk = ship_address
ORDER BY order_number;
