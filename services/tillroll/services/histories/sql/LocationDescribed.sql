-- Stores and warehouses; TPC-DS knows no coordinates.
SELECT event_digest('tpcds/reference', 'LocationDescribed', location_id, 0) AS digest,
       'tpcds/reference' AS source, 'reference' AS channel, TIMESTAMP '1998-01-01' AS occurred_at,
       location_id, name, kind, opening
FROM (
    SELECT store_location(s_store_sk) AS location_id, coalesce(s_store_name, 'store ' || s_store_sk) AS name, 'store' AS kind,
           s_hours AS opening
    FROM store
    UNION ALL
    SELECT warehouse_location(w_warehouse_sk), coalesce(w_warehouse_name, 'warehouse ' || w_warehouse_sk), 'warehouse', NULL
    FROM warehouse
)
ORDER BY location_id;
