-- What channel_sales has to hold after TPC-DS, from the tables alone (domain.md 3 and 6).
WITH store_orders AS (
    SELECT ss_ticket_number AS number, max(d_date) AS placed_on, max(ss_store_sk) AS place
    FROM store_sales LEFT JOIN date_dim ON d_date_sk = ss_sold_date_sk
    GROUP BY ss_ticket_number
), catalog_orders AS (
    SELECT cs_order_number AS number, max(d_date) AS placed_on
    FROM catalog_sales LEFT JOIN date_dim ON d_date_sk = cs_sold_date_sk
    GROUP BY cs_order_number
), web_orders AS (
    SELECT ws_order_number AS number, max(d_date) AS placed_on
    FROM web_sales LEFT JOIN date_dim ON d_date_sk = ws_sold_date_sk
    GROUP BY ws_order_number
), placed AS (
    SELECT 'store' AS channel, placed_on AS business_date, CASE WHEN place IS NULL THEN '' ELSE concat('store-', place) END AS location_id,
           count(DISTINCT ss_ticket_number) AS orders, sum(ss_quantity) AS units, sum(ss_ext_sales_price) AS gross,
           count(*) - count(ss_quantity) AS no_quantity, count(*) - count(ss_ext_sales_price) AS no_amount
    FROM store_sales JOIN store_orders ON number = ss_ticket_number WHERE placed_on IS NOT NULL GROUP BY ALL
    UNION ALL
    SELECT 'catalog', placed_on, '', count(DISTINCT cs_order_number), sum(cs_quantity), sum(cs_ext_sales_price),
           count(*) - count(cs_quantity), count(*) - count(cs_ext_sales_price)
    FROM catalog_sales JOIN catalog_orders ON number = cs_order_number WHERE placed_on IS NOT NULL GROUP BY ALL
    UNION ALL
    SELECT 'web', placed_on, '', count(DISTINCT ws_order_number), sum(ws_quantity), sum(ws_ext_sales_price),
           count(*) - count(ws_quantity), count(*) - count(ws_ext_sales_price)
    FROM web_sales JOIN web_orders ON number = ws_order_number WHERE placed_on IS NOT NULL GROUP BY ALL
), returned AS (
    SELECT 'store' AS channel, d_date AS business_date, CASE WHEN sr_store_sk IS NULL THEN '' ELSE concat('store-', sr_store_sk) END AS location_id,
           sum(sr_return_quantity) AS units, sum(sr_return_amt) AS money, count(*) - count(sr_return_quantity) AS no_quantity
    FROM store_returns JOIN date_dim ON d_date_sk = sr_returned_date_sk GROUP BY ALL
    UNION ALL
    SELECT 'catalog', d_date, CASE WHEN cr_warehouse_sk IS NULL THEN '' ELSE concat('warehouse-', cr_warehouse_sk) END,
           sum(cr_return_quantity), sum(cr_return_amount), count(*) - count(cr_return_quantity)
    FROM catalog_returns JOIN date_dim ON d_date_sk = cr_returned_date_sk GROUP BY ALL
    UNION ALL
    SELECT 'web', d_date, CASE WHEN ws_warehouse_sk IS NULL THEN '' ELSE concat('warehouse-', ws_warehouse_sk) END,
           sum(wr_return_quantity), sum(wr_return_amt), count(*) - count(wr_return_quantity)
    FROM web_returns
    JOIN date_dim ON d_date_sk = wr_returned_date_sk
    LEFT JOIN web_sales ON ws_order_number = wr_order_number AND ws_item_sk = wr_item_sk
    GROUP BY ALL
), both_sides AS (
    SELECT business_date, channel, location_id, orders, units, gross, 0 AS returned_units, 0 AS refunded, no_quantity, no_amount
    FROM placed
    UNION ALL
    SELECT business_date, channel, location_id, 0, 0, 0, units, money, no_quantity, 0 FROM returned
)
SELECT business_date, channel, location_id, 'USD' AS currency,
       CAST(sum(orders) AS BIGINT) AS orders,
       CAST(coalesce(sum(units), 0) AS BIGINT) AS units,
       CAST(coalesce(sum(gross), 0) * 100 AS BIGINT) AS gross_minor,
       CAST(0 AS BIGINT) AS cancelled_units,
       CAST(0 AS BIGINT) AS cancelled_minor,
       CAST(coalesce(sum(returned_units), 0) AS BIGINT) AS returned_units,
       CAST(coalesce(sum(refunded), 0) * 100 AS BIGINT) AS refunded_minor,
       CAST(sum(no_quantity) AS BIGINT) AS unknown_quantities,
       CAST(sum(no_amount) AS BIGINT) AS unknown_amounts
FROM both_sides
GROUP BY ALL
ORDER BY business_date, channel, location_id, currency;
