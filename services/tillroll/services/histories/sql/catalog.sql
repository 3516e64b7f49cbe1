-- Orders of the catalog and their returns, in the columns that all three channels share.
CREATE OR REPLACE TEMP VIEW sales AS
SELECT cs_order_number AS order_number, cs_item_sk AS item, cs_sold_date_sk AS sold_date, cs_sold_time_sk AS sold_time,
       NULL::BIGINT AS store, cs_warehouse_sk AS warehouse, cs_ship_date_sk AS ship_date, cs_ship_mode_sk AS ship_mode,
       cs_ship_addr_sk AS ship_address, cs_bill_customer_sk AS customer,
       cs_quantity AS quantity, cs_sales_price AS unit_price, cs_ext_sales_price AS amount
FROM catalog_sales;

CREATE OR REPLACE TEMP VIEW returns AS
SELECT cr_order_number AS order_number, cr_item_sk AS item, cr_returned_date_sk AS returned_date,
       cr_returned_time_sk AS returned_time, NULL::BIGINT AS store, cr_warehouse_sk AS warehouse, cr_reason_sk AS reason,
       cr_returning_customer_sk AS returning_customer, cr_refunded_customer_sk AS refunded_customer,
       cr_return_quantity AS quantity, cr_return_amount AS amount
FROM catalog_returns;
