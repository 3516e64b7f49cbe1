SELECT parcel AS event, sku AS line_id, sku, warehouse_id AS location_id, quantity
FROM parcel_lines
ORDER BY event, item;
