-- Orders of the web shop and their returns, in the columns that all three channels share.
-- web_returns names no warehouse: a return is received at its sale line's.
CREATE OR REPLACE TEMP VIEW sales AS
SELECT ws_order_number AS order_number, ws_item_sk AS item, ws_sold_date_sk AS sold_date, ws_sold_time_sk AS sold_time,
       NULL::BIGINT AS store, ws_warehouse_sk AS warehouse, ws_ship_date_sk AS ship_date, ws_ship_mode_sk AS ship_mode,
       ws_ship_addr_sk AS ship_address, ws_bill_customer_sk AS customer,
       ws_quantity AS quantity, ws_sales_price AS unit_price, ws_ext_sales_price AS amount
FROM web_sales;

CREATE OR REPLACE TEMP VIEW returns AS
SELECT wr_order_number AS order_number, wr_item_sk AS item, wr_returned_date_sk AS returned_date,
       wr_returned_time_sk AS returned_time, NULL::BIGINT AS store, sale.ws_warehouse_sk AS warehouse, wr_reason_sk AS reason,
       wr_returning_customer_sk AS returning_customer, wr_refunded_customer_sk AS refunded_customer,
       wr_return_quantity AS quantity, wr_return_amt AS amount
FROM web_returns
LEFT JOIN web_sales AS sale ON sale.ws_order_number = wr_order_number AND sale.ws_item_sk = wr_item_sk;
