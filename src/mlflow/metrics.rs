//! Parameters and metrics: logged one by one or in batches, and read back as histories.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Server;
use super::error::ApiError;
use super::form::{MetricForm, millis, time_of};
use super::http::{Call, Reply};
use super::message::{self, Field, Kind, Number, Whole, invalid_value, need, optional, or_default, required};
use super::paging::Page;
use super::runs::{PairMessage, check_run_active, either, set_tag_of};
use super::validate;
use crate::id::LoggedModelId;
use crate::run::{ModelMetric, Point, Run, RunChange};

/// Points that a history gives at once where no number is asked for, over several runs.
const MAX_BULK: usize = 25_000;
/// Runs whose histories can be asked for at once.
const MAX_RUNS: usize = 100;
/// Points of a run that a sampled history gives.
const MAX_SAMPLED: i64 = 2500;

/// A point of a metric, in a request.
#[derive(Debug, Deserialize)]
struct MetricMessage<'m> {
    #[serde(borrow, default)]
    key: Option<Cow<'m, str>>,
    #[serde(default)]
    value: Option<Number>,
    #[serde(default)]
    timestamp: Option<Whole>,
    #[serde(default)]
    step: Option<Whole>,
    #[serde(borrow, default)]
    model_id: Option<Cow<'m, str>>,
    #[serde(borrow, default)]
    dataset_name: Option<Cow<'m, str>>,
    #[serde(borrow, default)]
    dataset_digest: Option<Cow<'m, str>>,
}

impl MetricMessage<'_> {
    /// What it says of a logged model, if it is about one.
    fn measured(&self, run_id: &str) -> Option<(LoggedModelId, ModelMetric)> {
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
        let model_id = self.model_id.as_deref()?.parse().ok()?;
        let (name, Point { step, time, value }) = self.point("").ok()?;
        let (dataset, dataset_digest) = (text(&self.dataset_name), text(&self.dataset_digest));
        let (name, run) = (name.to_owned(), Some(run_id.to_owned()));
        Some((model_id, ModelMetric { name, value, step, time, run, dataset, dataset_digest }))
    }

    /// Whether it is the run's latest point once more, said of a model. `log_model` does so with all metrics of a run, and
    /// to the run that is nothing new.
    fn is_linked_only(&self, run: &Run, key: &str, point: &Point) -> bool {
        self.model_id.is_some()
            && run.metrics.get(key).is_some_and(|known| {
                (known.last_step, known.last_time, known.last.to_bits())
                    == (point.step, point.time, point.value.to_bits())
            })
    }

    /// The point, with the metric's name; `path` is where it stands in the request.
    fn point(&self, path: &str) -> Result<(&str, Point), ApiError> {
        let at = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        let key = self.key.as_deref().unwrap_or_default();
        let key = need(&at("key"), key)?;
        let Some(Number(value)) = self.value else { return Err(message::missing(&at("value"))) };
        let Some(Whole(timestamp)) = self.timestamp else { return Err(message::missing(&at("timestamp"))) };
        validate::check_metric_name(key, &at("name"))?;
        let time = time_of(timestamp).filter(|_| timestamp >= 0).ok_or_else(|| {
            let why = format!("metric '{key}' (value={value}). Timestamp must be a nonnegative long (64-bit integer) ");
            invalid_value(&at("timestamp"), &timestamp, &why)
        })?;
        Ok((key, Point { step: self.step.unwrap_or_default().0, time, value }))
    }
}

#[derive(Debug, Deserialize)]
struct LogMetricMessage<'m> {
    #[serde(default, deserialize_with = "or_default")]
    run_id: String,
    #[serde(default, deserialize_with = "or_default")]
    run_uuid: String,
    #[serde(flatten, borrow)]
    metric: MetricMessage<'m>,
}

pub(super) fn log_metric(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let fields = [
        required("run_id", Kind::Text),
        required("key", Kind::Text),
        required("value", Kind::Float),
        required("timestamp", Kind::Whole),
        optional("step", Kind::Whole),
    ];
    let exact = message::with_exact_numbers(&call.body);
    let message: LogMetricMessage<'_> = message::borrowed(&exact, &fields)?;
    let run_id = either(&message.run_id, &message.run_uuid)?;
    let (key, point) = message.metric.point("")?;
    server.tracking.change(run_id, &mut |run| {
        check_run_active(server, run)?;
        if message.metric.is_linked_only(run, key, &point) {
            return Ok(None);
        }
        let mut change = RunChange::default();
        change.add_point(key, point);
        Ok(Some(change))
    })?;
    if let Some(measured) = message.metric.measured(run_id) {
        server.measure(&[measured])?;
    }
    Ok(Reply::empty())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LogParamMessage {
    #[serde(deserialize_with = "or_default")]
    run_id: String,
    #[serde(deserialize_with = "or_default")]
    run_uuid: String,
    #[serde(deserialize_with = "or_default")]
    key: String,
    #[serde(deserialize_with = "or_default")]
    value: String,
}

pub(super) fn log_param(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let fields = [required("run_id", Kind::Text), required("key", Kind::Text), optional("value", Kind::Text)];
    let message: LogParamMessage = call.message(&fields)?;
    let run_id = either(&message.run_id, &message.run_uuid)?;
    let (key, value) = validate::param(need("key", &message.key)?, &message.value, "key")?;
    server.tracking.change(run_id, &mut |run| {
        check_run_active(server, run)?;
        match run.params.get(&key) {
            Some(known) if *known == value => Ok(None),
            Some(known) => Err(ApiError::invalid(format!(
                "Changing param values is not allowed. Param with key='{key}' was already logged with value='{known}' for \
                 run ID='{run_id}'. Attempted logging new value '{value}'."
            ))),
            None => Ok(Some(RunChange { params: vec![(key.clone(), value.clone())], ..RunChange::default() })),
        }
    })?;
    Ok(Reply::empty())
}

#[derive(Debug, Deserialize)]
struct LogBatchMessage<'m> {
    #[serde(default, deserialize_with = "or_default")]
    run_id: String,
    #[serde(default, borrow)]
    metrics: Option<Vec<MetricMessage<'m>>>,
    #[serde(default, deserialize_with = "or_default")]
    params: Vec<PairMessage>,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<PairMessage>,
}

pub(super) fn log_batch(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let fields = [
        required("run_id", Kind::Text),
        optional("metrics", Kind::List),
        optional("params", Kind::List),
        optional("tags", Kind::List),
    ];
    let exact = message::with_exact_numbers(&call.body);
    let message: LogBatchMessage<'_> = message::borrowed(&exact, &fields)?;
    let run_id = need("run_id", &message.run_id)?;
    let metrics = message.metrics.as_deref().unwrap_or_default();
    let (params, tags) = (&message.params, &message.tags);
    let mut change = RunChange::default();
    let mut linked = Vec::new();
    for (index, metric) in metrics.iter().enumerate() {
        // The path is made only where something is wrong, which is found by asking once more.
        let (key, point) = metric.point("").or_else(|_| metric.point(&format!("metrics[{index}]")))?;
        match metric.model_id {
            Some(_) => linked.push((metric, key, point)),
            None => change.add_point(key, point),
        }
    }
    for (index, param) in params.iter().enumerate() {
        let path = format!("params[{index}].key");
        change.params.push(validate::param(need(&path, &param.key)?, &param.value, &path)?);
    }
    for (index, tag) in tags.iter().enumerate() {
        let path = format!("tags[{index}].key");
        set_tag_of(&mut change, validate::tag(need(&path, &tag.key)?, &tag.value, &path)?);
    }
    validate::check_batch("metrics", validate::MAX_METRICS, metrics.len())?;
    validate::check_batch("params", validate::MAX_PARAMS_AND_TAGS, params.len())?;
    validate::check_batch("tags", validate::MAX_PARAMS_AND_TAGS, tags.len())?;
    let count = metrics.len() + params.len() + tags.len();
    validate::check_batch("metrics, params, and tags", validate::MAX_ENTITIES, count)?;
    check_unique(&change.params)?;
    server.tracking.change(run_id, &mut |run| {
        check_run_active(server, run)?;
        check_unchanged(run, &change.params)?;
        let mut change = change.clone();
        for (metric, key, point) in &linked {
            if !metric.is_linked_only(run, key, point) {
                change.add_point(key, *point);
            }
        }
        change.params.retain(|(key, _)| !run.params.contains_key(key));
        Ok((change != RunChange::default()).then_some(change))
    })?;
    let measured: Vec<_> = metrics.iter().filter_map(|metric| metric.measured(run_id)).collect();
    server.measure(&measured)?;
    Ok(Reply::empty())
}

fn check_unique(params: &[(String, String)]) -> Result<(), ApiError> {
    let mut seen = BTreeMap::new();
    let twice: Vec<&str> =
        params.iter().filter(|(key, _)| seen.insert(key, ()).is_some()).map(|(key, _)| key.as_str()).collect();
    if twice.is_empty() {
        return Ok(());
    }
    let list = twice.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ");
    Err(ApiError::invalid(format!(
        "Duplicate parameter keys have been submitted: [{list}]. Please ensure the request contains only one param value \
         per param key."
    )))
}

fn check_unchanged(run: &Run, params: &[(String, String)]) -> Result<(), ApiError> {
    let other = |(key, value): &(String, String)| {
        let known = run.params.get(key).filter(|known| *known != value)?;
        Some(format!("{{'key': '{key}', 'old_value': '{known}', 'new_value': '{value}'}}"))
    };
    let others: Vec<String> = params.iter().filter_map(other).collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{}'.",
        others.join(", "),
        run.id
    )))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HistoryMessage {
    #[serde(deserialize_with = "or_default")]
    run_id: String,
    #[serde(deserialize_with = "or_default")]
    run_uuid: String,
    #[serde(deserialize_with = "or_default")]
    run_ids: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    metric_key: String,
    max_results: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    page_token: String,
    start_step: Option<Whole>,
    end_step: Option<Whole>,
}

#[derive(Debug, Serialize)]
struct History<'h> {
    metrics: Vec<MetricForm<'h>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

fn form<'h>(key: &'h str, run_id: Option<&'h str>, point: &Point) -> MetricForm<'h> {
    MetricForm { key, value: Number(point.value), timestamp: millis(point.time), step: point.step, run_id }
}

/// Orders values, NaN as the smallest.
fn by_value(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

fn by_time(points: &mut Vec<Point>) {
    points.sort_by(|a, b| (a.time, a.step).cmp(&(b.time, b.step)).then_with(|| by_value(a.value, b.value)));
    forget_repeats(points);
}

/// Leaves one of points that follow each other and are the same in all. A client that had no answer sends a batch once
/// more, and some log a value twice; MLflow's own server keeps such a point once.
fn forget_repeats(points: &mut Vec<Point>) {
    points.dedup_by(|a, b| (a.step, a.time, a.value.to_bits()) == (b.step, b.time, b.value.to_bits()));
}

pub(super) fn history(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let fields: &[Field] = &[
        required("run_id", Kind::Text),
        required("metric_key", Kind::Text),
        optional("page_token", Kind::Text),
        optional("max_results", Kind::Whole),
    ];
    let message: HistoryMessage = call.message(fields)?;
    let run_id = either(&message.run_id, &message.run_uuid)?;
    let key = need("metric_key", &message.metric_key)?;
    let page = match message.max_results {
        Some(Whole(count)) if count <= 0 => {
            return Err(ApiError::invalid(format!(
                "Invalid value {count} for parameter 'max_results' supplied. It must be a positive integer."
            )));
        }
        Some(Whole(count)) => Some(Page::new(count.min(50_000), &message.page_token)?),
        // Without a page there is all of it, and a token that is none is refused all the same.
        None => Page::new(1, &message.page_token).map(|_| None)?,
    };
    let mut points = server.tracking.points(run_id, key)?;
    by_time(&mut points);
    let next_page_token = page.and_then(|page| page.cut(&mut points));
    let metrics = points.iter().map(|point| form(key, None, point)).collect();
    Ok(Reply::json(&History { metrics, next_page_token }))
}

pub(super) fn history_bulk(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let mut run_ids: Vec<&str> =
        call.query.iter().filter(|(name, _)| name == "run_id").map(|(_, value)| value.as_str()).collect();
    if run_ids.is_empty() {
        return Err(ApiError::invalid("GetMetricHistoryBulk request must specify at least one run_id."));
    }
    if run_ids.len() > MAX_RUNS {
        return Err(ApiError::invalid(format!(
            "GetMetricHistoryBulk request cannot specify more than {MAX_RUNS} run_ids. Received {} run_ids.",
            run_ids.len()
        )));
    }
    let no_key = || ApiError::invalid("GetMetricHistoryBulk request must specify a metric_key.");
    let key = call.query_value("metric_key").ok_or_else(no_key)?;
    let wanted = match call.query_value("max_results") {
        None => MAX_BULK,
        Some(text) => text
            .trim()
            .parse::<usize>()
            .map_err(|_| invalid_value("max_results", &text, "It must be a positive integer."))?,
    };
    run_ids.sort_unstable();
    run_ids.dedup();
    let mut found = Vec::new();
    for run_id in run_ids {
        let mut points = server.tracking.points(run_id, key)?;
        by_time(&mut points);
        found.extend(points.into_iter().map(|point| (run_id, point)));
    }
    found.truncate(wanted.min(MAX_BULK));
    let metrics = found.iter().map(|(run_id, point)| form(key, Some(run_id), point)).collect();
    Ok(Reply::json(&History { metrics, next_page_token: None }))
}

pub(super) fn history_bulk_interval(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let fields = [
        required("run_ids", Kind::Texts),
        required("metric_key", Kind::Text),
        optional("start_step", Kind::Whole),
        optional("end_step", Kind::Whole),
        optional("max_results", Kind::Whole),
    ];
    let message: HistoryMessage = call.message(&fields)?;
    if message.run_ids.is_empty() {
        return Err(message::missing("run_ids"));
    }
    if message.run_ids.len() > MAX_RUNS {
        return Err(ApiError::invalid(format!(
            "GetMetricHistoryBulkInterval request must specify at most {MAX_RUNS} run_ids. Received {} run_ids. See the \
             API docs for more information about request parameters.",
            message.run_ids.len()
        )));
    }
    let key = need("metric_key", &message.metric_key)?;
    let wanted = message.max_results.map_or(MAX_SAMPLED, |count| count.0);
    if !(1..=MAX_SAMPLED).contains(&wanted) {
        return Err(ApiError::invalid(format!(
            "max_results must be between 1 and {MAX_SAMPLED}. See the API docs for more information about request \
             parameters."
        )));
    }
    let steps = match (message.start_step, message.end_step) {
        (Some(Whole(start)), Some(Whole(end))) if start > end => {
            return Err(ApiError::invalid(format!(
                "end_step must be greater than start_step. Found start_step={start} and end_step={end}."
            )));
        }
        (Some(Whole(start)), Some(Whole(end))) => start..=end,
        (None, None) => i64::MIN..=i64::MAX,
        _ => {
            return Err(ApiError::invalid("If either start step or end step are specified, both must be specified."));
        }
    };
    let wanted = usize::try_from(wanted).unwrap_or(1);
    let mut found = Vec::new();
    for run_id in &message.run_ids {
        // A run that is not there has no points, but one of them is asked for by mistake.
        server.tracking.get(run_id)?;
        let mut points = server.tracking.points(run_id, key)?;
        points.retain(|point| steps.contains(&point.step));
        points.sort_by(|a, b| (a.step, a.time).cmp(&(b.step, b.time)).then_with(|| by_value(a.value, b.value)));
        forget_repeats(&mut points);
        found.extend(sample(&points, wanted).into_iter().map(|point| (run_id.as_str(), point)));
    }
    let metrics = found.iter().map(|(run_id, point)| form(key, Some(run_id), point)).collect();
    Ok(Reply::json(&History { metrics, next_page_token: None }))
}

/// The first of each of `wanted` parts of the same size, and the last point of all.
fn sample(points: &[Point], wanted: usize) -> Vec<Point> {
    if points.len() <= wanted {
        return points.to_vec();
    }
    // As SQL's NTILE has it: the first parts are longer by one where it does not come out even.
    let (size, longer) = (points.len() / wanted, points.len() % wanted);
    let mut sampled: Vec<Point> = (0..wanted).map(|part| points[part * size + part.min(longer)]).collect();
    if let (Some(last), Some(point)) = (sampled.last_mut(), points.last()) {
        *last = *point;
    }
    sampled
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_sample_has_the_first_and_the_last_point_and_no_more_than_was_asked_for() {
        let points: Vec<Point> = (0..10).map(|step| Point { step, time: Timestamp::UNIX_EPOCH, value: 0.5 }).collect();
        let steps = |wanted| sample(&points, wanted).iter().map(|point| point.step).collect::<Vec<_>>();
        assert_eq!(steps(3), [0, 4, 9]);
        assert_eq!(steps(1), [9]);
        assert_eq!(steps(10).len(), 10);
        assert_eq!(steps(99).len(), 10);
    }

    #[test]
    fn a_point_that_was_sent_twice_is_one_point() {
        let point = |step, value| Point { step, time: Timestamp::UNIX_EPOCH, value };
        let mut points = vec![point(1, 0.5), point(2, f64::NAN), point(1, 0.5), point(1, 0.25), point(2, f64::NAN)];
        by_time(&mut points);
        assert_eq!(points.iter().map(|point| point.step).collect::<Vec<_>>(), [1, 1, 2]);
    }
}
