//! The trail as an Apache Parquet file, for warehouses and notebooks.
//!
//! One row an event, the columns of `audit_logs`; what proves them stands in the file's key-value
//! metadata. Format: <https://parquet.apache.org/docs/file-format/>.

use std::sync::Arc;

use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::{ParquetError, Result},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};
use serde_json::Value;

use super::EXPORT;
use crate::store::{AUDIT_COLUMNS, AuditRow, TrailSpan};

/// How many events make a row group.
const GROUP_EVENTS: usize = 10_000;

/// How much text makes one, whichever is reached first: what an export holds in memory.
const GROUP_BYTES: usize = 4 << 20;

/// What comes before a key of the file's metadata.
const KEY: &str = "clampd.";

/// A file that is being made: what comes of it is handed on row group by row group.
pub(super) struct Table {
    file: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Column>,
    events: usize,
    bytes: usize,
}

impl Table {
    pub(super) fn new(org_id: &str, span: &TrailSpan) -> Result<Self> {
        let columns: Vec<Column> = AUDIT_COLUMNS.map(Column::of).into();
        let fields = AUDIT_COLUMNS.iter().zip(&columns);
        let fields = fields.map(|(name, column)| Ok(Arc::new(column.field(name)?)));
        let schema = Type::group_type_builder("audit_logs")
            .with_fields(fields.collect::<Result<_>>()?)
            .build()?;
        let properties = WriterProperties::builder()
            .set_created_by(format!("clampd {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        let mut file = SerializedFileWriter::new(Vec::new(), schema.into(), properties.into())?;
        let after = span.begin.seq.to_string();
        let mut say = |key, value: &str| {
            file.append_key_value_metadata(KeyValue::new(format!("{KEY}{key}"), value.to_owned()));
        };
        say("export", EXPORT);
        say("org_id", org_id);
        say("after", &after);
        say("chain_hash", &span.begin.chain_hash);
        for (key, statement) in [("cut", &span.cut), ("statement", &span.statement)] {
            if let Some(statement) = statement {
                say(key, statement);
            }
        }
        Ok(Self {
            file,
            columns,
            events: 0,
            bytes: 0,
        })
    }

    /// Takes events in; answers what can be sent of the file by now, which may be nothing.
    pub(super) fn push(&mut self, page: &[AuditRow]) -> Result<Vec<u8>> {
        for row in page {
            for (name, column) in AUDIT_COLUMNS.iter().zip(&mut self.columns) {
                self.bytes += column.push(row.get(*name));
            }
        }
        self.events += page.len();
        if self.events >= GROUP_EVENTS || self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        self.made()
    }

    /// The rest of the file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        if self.events > 0 {
            self.write_group()?;
        }
        self.file.into_inner()
    }

    fn write_group(&mut self) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            column.write(&mut group)?;
        }
        group.close()?;
        (self.events, self.bytes) = (0, 0);
        Ok(())
    }

    /// What was written and not yet sent. The writer counts what it wrote by itself, so that taking
    /// it away moves no offset.
    fn made(&mut self) -> Result<Vec<u8>> {
        self.file.flush()?;
        Ok(std::mem::take(self.file.inner_mut()))
    }
}

/// The cells of a column that wait for their row group.
enum Column {
    Text(Cells<ByteArray>),
    Whole(Cells<i64>),
    /// Unix microseconds.
    Time(Cells<i64>),
    Real(Cells<f64>),
    Truth(Cells<bool>),
}

impl Column {
    fn of(name: &str) -> Self {
        match name {
            "seq" | "bundle_revision" | "latency_us" => Self::Whole(Cells::default()),
            "timestamp" | "received_at" => Self::Time(Cells::default()),
            "risk_score" => Self::Real(Cells::default()),
            "blocked" => Self::Truth(Cells::default()),
            _ => Self::Text(Cells::default()),
        }
    }

    fn field(&self, name: &str) -> Result<Type> {
        let (physical, logical) = match self {
            Self::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Whole(_) => (Physical::INT64, None),
            Self::Time(_) => (
                Physical::INT64,
                Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            ),
            Self::Real(_) => (Physical::DOUBLE, None),
            Self::Truth(_) => (Physical::BOOLEAN, None),
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    }

    /// Takes a cell in; answers how many bytes of text it has. What is not of the column's type,
    /// which the database keeps out, becomes null.
    fn push(&mut self, cell: Option<&Value>) -> usize {
        match self {
            Self::Text(cells) => {
                let text = cell.and_then(Value::as_str);
                cells.push(text.map(ByteArray::from));
                return text.map_or(0, str::len);
            }
            Self::Whole(cells) | Self::Time(cells) => cells.push(cell.and_then(Value::as_i64)),
            Self::Real(cells) => cells.push(cell.and_then(Value::as_f64)),
            Self::Truth(cells) => cells.push(cell.and_then(Value::as_bool)),
        }
        0
    }

    fn write(&mut self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<()> {
        let column = group.next_column()?;
        let mut column = column.ok_or_else(|| ParquetError::General("no column left".into()))?;
        match self {
            Self::Text(cells) => cells.write::<ByteArrayType>(&mut column)?,
            Self::Whole(cells) | Self::Time(cells) => cells.write::<Int64Type>(&mut column)?,
            Self::Real(cells) => cells.write::<DoubleType>(&mut column)?,
            Self::Truth(cells) => cells.write::<BoolType>(&mut column)?,
        }
        column.close()
    }
}

/// Values, and of each row whether it has one (Parquet's definition level).
struct Cells<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            levels: Vec::new(),
        }
    }
}

impl<T> Cells<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    fn write<D: DataType<T = T>>(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let writer = column.typed::<D>();
        writer.write_batch(&self.values, Some(&self.levels), None)?;
        self.values.clear();
        self.levels.clear();
        Ok(())
    }
}
