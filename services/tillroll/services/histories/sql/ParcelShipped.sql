-- Catalog and web: lines that leave one warehouse on one day by one carrier's mode are a parcel.
WITH parcels AS (
    SELECT order_number, warehouse_id, ship_date, ship_mode,
           list({line_id: sku, sku: sku, location_id: warehouse_id, quantity: quantity} ORDER BY item) AS lines
    FROM lines
    WHERE ship_date IS NOT NULL
    GROUP BY order_number, warehouse_id, ship_date, ship_mode
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY order_number ORDER BY ship_date, warehouse_id, ship_mode) AS ordinal
    FROM parcels
)
SELECT event_id('tpcds/' || order_channel, 'ParcelShipped', order_id, ordinal) AS event_id,
       'tpcds/' || order_channel AS source,
       order_channel AS channel,
       moment(day_of(ship_date), 0) AS occurred_at,
       day_of(ship_date) AS business_date,
       order_id, order_channel, order_business_date, order_location_id, currency,
       order_id || '-' || ordinal AS parcel_id,
       trim(sm_carrier) AS carrier,
       numbered.lines
FROM numbered
JOIN orders USING (order_number)
LEFT JOIN ship_mode ON sm_ship_mode_sk = ship_mode
WHERE order_business_date IS NOT NULL AND order_channel <> 'store'
ORDER BY order_number, ordinal;
