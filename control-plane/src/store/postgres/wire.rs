//! Values on their way to the server and back.

use std::{error::Error, fmt::Write as _, sync::Arc};

use postgres::{
    Statement,
    types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use crate::store::sql::{Cell, Row, SqlError};

/// The statement with `$1` for `?1`.
pub(super) fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

pub(super) fn params(cells: &[Cell]) -> Vec<&(dyn ToSql + Sync)> {
    cells
        .iter()
        .map(|cell| cell as &(dyn ToSql + Sync))
        .collect()
}

pub(super) fn rows(statement: &Statement, rows: &[postgres::Row]) -> Result<Vec<Row>, SqlError> {
    let columns: Arc<[String]> = statement
        .columns()
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    rows.iter()
        .map(|row| {
            let cells = (0..columns.len())
                .map(|index| cell(row, index))
                .collect::<Result<_, _>>()?;
            Ok(Row::new(Arc::clone(&columns), cells))
        })
        .collect()
}

fn cell(row: &postgres::Row, index: usize) -> Result<Cell, SqlError> {
    let column = row.columns().get(index);
    let kind = column.map_or(&Type::UNKNOWN, postgres::Column::type_);
    let cell = match *kind {
        Type::BOOL => row.try_get::<_, Option<bool>>(index)?.map(Cell::Bool),
        Type::INT8 => row.try_get::<_, Option<i64>>(index)?.map(Cell::Integer),
        Type::INT4 => row
            .try_get::<_, Option<i32>>(index)?
            .map(|number| Cell::Integer(i64::from(number))),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(index)?.map(Cell::Real),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index)?.map(Cell::Blob),
        // What returns nothing, such as pg_notify.
        Type::VOID => None,
        _ => row.try_get::<_, Option<String>>(index)?.map(Cell::Text),
    };
    Ok(cell.unwrap_or(Cell::Null))
}

impl ToSql for Cell {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, kind) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Bool(yes), &Type::BOOL) => yes.to_sql(kind, out),
            (Self::Integer(number), &Type::BOOL) => (*number != 0).to_sql(kind, out),
            (Self::Integer(number), &Type::INT8) => number.to_sql(kind, out),
            (Self::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_sql(kind, out),
            (Self::Real(number), &Type::FLOAT8) => number.to_sql(kind, out),
            // A NUL is the one character that it cannot keep. To compare with, one that is in no
            // name does as well; to store, it is what stands for what cannot be shown.
            (Self::Text(text), &Type::TEXT | &Type::VARCHAR) if text.contains('\0') => {
                text.replace('\0', "\u{fffd}").to_sql(kind, out)
            }
            (Self::Text(text), &Type::TEXT | &Type::VARCHAR) => text.to_sql(kind, out),
            (Self::Blob(bytes), &Type::BYTEA) => bytes.to_sql(kind, out),
            (_, kind) => {
                let mut message = String::new();
                let _ = write!(message, "a parameter is no {kind}");
                Err(message.into())
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
