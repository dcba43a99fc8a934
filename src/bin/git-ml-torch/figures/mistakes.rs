//! The worst mistakes: where the model was most surprised by the truth.

use git_ml::train::data::{Dataset, Images, Inputs};
use git_ml::train::evaluation::Prediction;

use super::drawing::{Anchor, Drawing, FAINT_INK, INK, MARGIN, Picture, TEXT, TOP};
use super::{subject, text};
use crate::evaluate::Evaluation;
use crate::failure::Result;

const COLUMNS: usize = 6;
const MAX_PICTURES: usize = 24;
const CELL: f64 = 132.0;
const PICTURE: f64 = 112.0;
/// The three lines below a picture.
const LINES: f64 = 54.0;

const MAX_TEXTS: usize = 12;
const TEXT_WIDTH: f64 = 640.0;
const TEXT_LINES: usize = 3;
/// Pixels of a picture's side that a PNG can show.
const MAX_SIDE: usize = 2 * PICTURE as usize;

/// The drawing; none for data that nobody can look at.
pub(super) fn worst_mistakes(data: &Dataset, evaluation: &Evaluation) -> Result<Option<Drawing>> {
    let predictions = &evaluation.predictions;
    let mistakes = predictions.worst_mistakes();
    let rows = |most: usize| mistakes.iter().take(most).map(|row| &predictions.rows()[*row]).collect::<Vec<_>>();
    let shown = match &data.inputs {
        Inputs::Images(_) => rows(MAX_PICTURES),
        Inputs::Texts(_) => rows(MAX_TEXTS),
        Inputs::Numbers { .. } => return Ok(None),
    };
    let subtitle = match (shown.len(), mistakes.len()) {
        (0, _) => format!("none: all predictions are right on {}", subject(evaluation)),
        (shown, all) if shown == all => format!("all {all} on {}, the highest loss first", subject(evaluation)),
        (shown, all) => {
            let all = text::count(all as u64);
            format!("{shown} of {all} on {}, the highest loss first", subject(evaluation))
        }
    };
    Ok(Some(match &data.inputs {
        Inputs::Images(images) => pictures(data, images, &shown, &subtitle)?,
        Inputs::Texts(texts) => excerpts(data, texts, &shown, &subtitle),
        Inputs::Numbers { .. } => return Ok(None),
    }))
}

fn pictures(data: &Dataset, images: &Images, shown: &[&Prediction], subtitle: &str) -> Result<Drawing> {
    let columns = shown.len().clamp(1, COLUMNS);
    let rows = shown.len().div_ceil(COLUMNS);
    let width = (CELL * columns as f64).max(text::width(subtitle, TEXT)).max(240.0);
    let mut drawing = Drawing::new(2.0 * MARGIN + width, TOP + (CELL + LINES) * rows as f64 + MARGIN / 2.0);
    drawing.title("Worst mistakes", subtitle);
    for (place, row) in shown.iter().enumerate() {
        let x = MARGIN + CELL * (place % COLUMNS) as f64;
        let y = TOP + (CELL + LINES) * (place / COLUMNS) as f64;
        drawing.pictures.push(picture(images, row.index, x, y)?);
        let most = CELL - 10.0;
        let name = |label: u32| data.classes[label as usize].as_str();
        let probability = format!("p {:.3}, loss {:.2}", row.probability, row.loss);
        let lines = [
            ("true ", name(row.truth), INK),
            ("said ", name(row.prediction), INK),
            ("", probability.as_str(), FAINT_INK),
        ];
        for (number, (before, name, ink)) in (1..).zip(lines) {
            let y = y + PICTURE + 4.0 + 14.0 * f64::from(number);
            let before_width = text::width(before, TEXT);
            drawing.text(x, y, Anchor::Start, TEXT, FAINT_INK, before.trim_end());
            drawing.text(
                x + before_width,
                y,
                Anchor::Start,
                TEXT,
                ink,
                &text::shorten(name, TEXT, most - before_width),
            );
        }
    }
    Ok(drawing)
}

/// The image as large as it fits, its pixels as squares of a whole number of pixels where they are large.
fn picture(images: &Images, index: u32, x: f64, y: f64) -> Result<Picture> {
    let (height, width, channels) = (images.height(), images.width(), images.channels());
    let mut bytes = vec![0; images.size()];
    images.read(index, &mut bytes)?;
    let brightness = 255.0 / images.scale();
    let value = |row: usize, column: usize, channel: usize| {
        f32::from(bytes[(row * width + column) * channels + channel.min(channels - 1)]) * brightness
    };
    // Of a large image, each pixel is the mean of a block.
    let block = height.max(width).div_ceil(MAX_SIDE);
    let (rows, columns) = (height.div_ceil(block), width.div_ceil(block));
    let mean = |row: usize, column: usize, channel: usize| {
        let within_rows = row * block..((row + 1) * block).min(height);
        let within_columns = column * block..((column + 1) * block).min(width);
        let count = within_rows.len() * within_columns.len();
        let places = within_rows.flat_map(|row| within_columns.clone().map(move |column| (row, column)));
        let sum: f32 = places.map(|(row, column)| value(row, column, channel)).sum();
        (sum / count as f32).round().clamp(0.0, 255.0) as u8
    };
    let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let pixels = places.map(|(row, column)| [0, 1, 2].map(|channel| mean(row, column, channel))).collect();
    let exact = PICTURE / rows.max(columns) as f64;
    let scale = if exact >= 2.0 { (2.0 * exact).floor() / 2.0 } else { exact };
    let (width, height) = (columns as f64 * scale, rows as f64 * scale);
    Ok(Picture { x, y: y + PICTURE - height, width, height, columns, rows, pixels })
}

fn excerpts(data: &Dataset, texts: &[String], shown: &[&Prediction], subtitle: &str) -> Drawing {
    let wrapped: Vec<_> =
        shown.iter().map(|row| text::wrap(&texts[row.index as usize], TEXT, TEXT_WIDTH, TEXT_LINES)).collect();
    let height: f64 = wrapped.iter().map(|lines| 34.0 + 15.0 * lines.len() as f64).sum();
    let mut drawing = Drawing::new(2.0 * MARGIN + TEXT_WIDTH, TOP + height + MARGIN / 2.0);
    drawing.title("Worst mistakes", subtitle);
    let mut y = TOP + 6.0;
    for (row, lines) in shown.iter().zip(&wrapped) {
        let name = |label: u32| text::shorten(&data.classes[label as usize], TEXT, 200.0);
        let facts = format!("true {}, said {}", name(row.truth), name(row.prediction));
        let doubt = format!("p {:.3}, loss {:.2}", row.probability, row.loss);
        drawing.text(MARGIN, y, Anchor::Start, TEXT, FAINT_INK, &facts);
        drawing.text(MARGIN + TEXT_WIDTH, y, Anchor::End, TEXT, FAINT_INK, &doubt);
        for line in lines {
            y += 15.0;
            drawing.text(MARGIN, y, Anchor::Start, TEXT, INK, line);
        }
        y += 34.0;
    }
    drawing
}
