"""Questions to the log without a store: what was true when, why a number is what it is, what it would be otherwise.

| module | for |
|---|---|
| scan | the events of a slice of history, by time of occurrence, of recording, or by position |
| admitted | which of them are passed over, where the log itself does not settle duplicates |
| view | the rows that a projection makes of them |
| answer | a question about such rows, answered as a store answers it |
| explain, row | the events behind one cell; a row after each event that touched it |
| pushdown | what an event must hold to concern one key |
| whatif | the rows under another rule |
| export | an answer as a file |
"""
