// Package copyin sends the rows of a struct type through COPY FROM STDIN.
//
// pgx has a COPY of its own, which this package does not use, for three reasons:
//
//   - pgx.Conn.CopyFrom writes COPY's binary format only. A type without a binary codec
//     (one of an extension, a composite), or a Go value that only becomes a text by its
//     own methods, can't be sent. Here such columns make the COPY use the text format, of
//     which the server takes all that it takes in SQL.
//   - Its error for a value that can't be encoded names neither the row nor the column.
//     Here it is a [ValueError].
//   - It takes rows as []any, which costs an allocation or more for each value, and
//     cuts numbers and times to fit the column. Here fields are encoded by a plan that
//     is made once for each column, and what does not fit is refused.
//
// The encoders of single values are pgx's, but for timestamps. The files are layers: a
// column, how Go types are written, the encoder of a column, the types that a connection
// knows, and the stream.
package copyin
