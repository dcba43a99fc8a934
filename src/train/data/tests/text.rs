//! CSV files of texts and of numbers.

use super::*;

fn csv(text: &str) -> DataConfig {
    DataConfig { input: Some(text.to_owned()), ..config(0.0, 0.5) }
}

fn texts(data: &Dataset) -> Vec<&str> {
    let Inputs::Texts(texts) = &data.inputs else { panic!("texts are expected") };
    texts.iter().map(String::as_str).collect()
}

#[test]
fn texts_are_read_with_quotes_line_ends_and_parts() {
    let train = "\u{feff}label,text\r\n10,\"a, \"\"b\"\"\nc\"\r\n9,plain\r\n\r\n9,\r\n";
    let files = [
        ("train.csv", train.into()),
        ("test.csv.gz", gzip(b"text,label\nx,9")),
        ("val.tsv", b"text\tlabel\ny\t10\n".to_vec()),
        ("notes.md", b"1,2".to_vec()),
    ];
    let data = read_as(&files, &config(0.1, 0.2)).unwrap();
    assert_eq!(texts(&data), ["a, \"b\"\nc", "plain", "", "y", "x"]);
    assert_eq!((&data.classes[..], &data.labels[..]), (&["9".to_owned(), "10".to_owned()][..], &[1, 0, 0, 1, 0][..]));
    assert_eq!(
        (data.given["train"].clone(), data.given["validation"].clone(), data.given["test"].clone()),
        (0..3, 3..4, 4..5)
    );
    assert_eq!(
        data.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        ["train.csv", "val.tsv", "test.csv.gz"]
    );
    assert_eq!(data.name_of(4), "0");
}

#[test]
fn a_single_file_is_data_tracked_or_not() {
    let folder = folder(&[("reviews.csv", b"review,stars,id\ngood,5,a\nbad,1,b\nfine,5,c\n".to_vec())]);
    let config = DataConfig {
        data: "data/reviews.csv".to_owned(),
        input: Some("review".to_owned()),
        label: Some("stars".to_owned()),
        ..config(0.0, 0.5)
    };
    let source = Source::Path(folder.path().join("reviews.csv"));
    let plain = Dataset::read(&source, &config).unwrap();
    assert_eq!(
        (texts(&plain), &plain.labels[..], &plain.files[0].name[..]),
        (vec!["good", "bad", "fine"], &[1, 0, 1][..], "reviews.csv")
    );
    assert!(plain.given.is_empty());

    let store = crate::store::Store::open(&folder.path().join("store")).unwrap();
    let content = fs::read(folder.path().join("reviews.csv")).unwrap();
    let writer = store.writer().unwrap();
    let (digest, size) = writer.add(&mut content.as_slice(), "reviews.csv").unwrap();
    let entry = crate::store::Entry { path: None, mode: crate::store::Mode::File, size, digest };
    let manifest = crate::store::Manifest::new(vec![entry]).unwrap();
    let id = writer.add_manifest(&manifest).unwrap();
    let _ = writer.finish().unwrap();
    let stored = Dataset::read(&Source::artifact(store, &id).unwrap(), &config).unwrap();
    assert_eq!((texts(&stored), &stored.labels, &stored.files), (texts(&plain), &plain.labels, &plain.files));
}

#[test]
fn tables_have_their_columns_in_the_order_of_the_first_file() {
    let files =
        [("train.csv", b"a,label,b\n1,x,-2.5\n3,y,4e1\n".to_vec()), ("test.csv", b"label,b,a\nx,6, 5\n".to_vec())];
    let data = read_as(&files, &config(0.1, 0.2)).unwrap();
    let Inputs::Numbers { columns, values } = &data.inputs else { panic!("numbers are expected") };
    assert_eq!((*columns, &values[..]), (2, &[1.0, -2.5, 3.0, 40.0, 5.0, 6.0][..]));
    let data = read_as(&files, &csv("b")).unwrap();
    assert!(matches!(&data.inputs, Inputs::Numbers { columns: 1, values } if *values == [-2.5, 40.0, 6.0]));
    let data = read_as(&files, &csv("b, a")).unwrap();
    assert!(matches!(&data.inputs, Inputs::Numbers { columns: 2, values } if values[..2] == [-2.5, 1.0]));
}

#[test]
fn bad_tables_are_told_in_a_line() {
    let one = |text: &str| read_as(&[("a.csv", text.as_bytes().to_vec())], &config(0.1, 0.2)).unwrap_err();
    let two = |train: &str, test: &str| {
        let files = [("train.csv", train.as_bytes().to_vec()), ("test.csv", test.as_bytes().to_vec())];
        read_as(&files, &config(0.1, 0.2)).unwrap_err()
    };
    let long = format!("text,label\na,1\n\"{}", "x".repeat(17 << 20));
    let told = [
        one(""),
        one("text,label\n"),
        one("words,label\na,1\n"),
        one("text,stars\na,1\n"),
        one("text,label\na,1\nb\n"),
        one("text,label\na,1\n\"b,0\nc,1\n"),
        one("text,label\na,1\nb,\"0"),
        one("text,label\na,1\nb,1\n"),
        one("text,label\na,1\nb,\n"),
        one(&long),
        read_as(&[("a.csv", b"text,label\na,1\n\xff,2\n".to_vec())], &config(0.1, 0.2)).unwrap_err(),
        one("a,label\n1,x\nred,y\n"),
        one("a,b,label\n1,2,x\n3,,y\n"),
        one("a,label\n1,x\ninf,y\n"),
        one("a,a,label\n1,1,x\n"),
        one("label\nx\n"),
        one("size,label\n1,0.5\n2,0.7\n3,0.9\n"),
        two("text,label\na,1\nb,0\n", "text,label\nc,1\nd,2\n"),
        two("text,label\na,1\nb,0\n", "text,label\n"),
        two("a,label\n1,1\n2,0\n", "b,label\n1,1\n"),
        read_as(&[("b.csv", vec![]), ("c.csv", vec![])], &config(0.1, 0.2)).unwrap_err(),
        read_as(&[("test.csv", vec![])], &config(0.1, 0.2)).unwrap_err(),
        read_as(&[("train.csv", vec![]), ("training.csv", vec![])], &config(0.1, 0.2)).unwrap_err(),
        read_as(&[("a.csv.gz", b"text,label\n".to_vec())], &config(0.1, 0.2)).unwrap_err(),
        read_as(
            &[("a.csv", b"text,label\na,1\nb,2".to_vec())],
            &DataConfig { image_size: Some([8, 8]), ..config(0.1, 0.2) },
        )
        .unwrap_err(),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    a.csv is empty: the first line has to name the columns
    data/x has no examples
    a.csv line 2 has `a` in the column `words`, which is no finite number of 32 bits (if the column has texts to learn from, say so: `format = "text"` and `input = "words"`)
    a.csv has no column `label`; it has `text`, `stars` (name the column in the recipe: `label = "…"`)
    a.csv line 3 has 1 column, but the first line has 2
    a.csv line 3 opens a quote that is never closed
    a.csv line 3 opens a quote that is never closed
    data/x has one class only: there is nothing to tell apart
    a.csv line 3 has no value in the column `label` (fill it in, remove the line, or name the columns to learn from: `input = "a, b"`)
    a.csv line 3 is longer than 16 MiB; is a quote not closed?
    a.csv line 3 has bytes that are not UTF-8
    a.csv line 3 has `red` in the column `a`, which is no finite number of 32 bits (if the column has texts to learn from, say so: `format = "text"` and `input = "a"`)
    a.csv line 3 has no value in the column `b` (fill it in, remove the line, or name the columns to learn from: `input = "a, b"`)
    a.csv line 3 has `inf` in the column `a`, which is no finite number of 32 bits (if the column has texts to learn from, say so: `format = "text"` and `input = "a"`)
    a.csv has two columns called `a`
    a.csv has no columns to learn from beside `label`
    data/x has a class of its own in `label` for each of 3 examples
    test.csv line 3 has the class `2`, of which there is no example to train on
    test.csv has no examples
    test.csv has no column `a`; it has `b`, `label` (name the column in the recipe: `input = "…"`)
    data/x has b.csv and c.csv, and none of them is called train
    data/x has test.csv, but no file called train
    training.csv and train.csv are both `train`
    a.csv.gz is damaged: invalid gzip header
    data/x has no images, so `image_size` has no meaning
    "#);
}
