-- Catalog and web: lines that leave one warehouse on one day by one carrier's mode are a parcel.
SELECT parcel AS event,
       event_digest('tpcds/' || order_channel, 'ParcelShipped', order_id, ordinal) AS digest,
       'tpcds/' || order_channel AS source,
       order_channel AS channel,
       moment(day_of(ship_date), 0) AS occurred_at,
       day_of(ship_date) AS business_date,
       order_id, order_channel, order_business_date, order_location_id, currency,
       order_id || '-' || ordinal AS parcel_id,
       trim(sm_carrier) AS carrier
FROM (SELECT DISTINCT parcel, ordinal, order_number, ship_date, ship_mode FROM parcel_lines)
JOIN orders USING (order_number)
LEFT JOIN ship_mode ON sm_ship_mode_sk = ship_mode
WHERE order_business_date IS NOT NULL
ORDER BY event;
