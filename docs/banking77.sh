#!/bin/sh -eu
# banking77.sh DIR: from banking77_train.csv and banking77_test.csv in DIR to a model and a report, here.
python3 -c 'import csv, sys
rows = list(csv.reader(open(sys.argv[1], encoding="utf-8", newline="")))
for name, part in ("learn", [row for i, row in enumerate(rows) if i % 10 != 1]), ("tune", [rows[0], *rows[1::10]]):
    csv.writer(open(name + ".csv", "w", encoding="utf-8", newline="")).writerows(part)' "$1/banking77_train.csv"
labelf train learn.csv --label-column category --holdout 0.2 -o intent
printf '[[models]]\nname = "intent"\npath = "intent"\nmax_predictions = 1\n' > models.toml
labelf tune tune.csv --config models.toml --gold intent=category -o tuned.toml
labelf evaluate "$1/banking77_test.csv" --config models.toml --gold intent=category
labelf classify "$1/banking77_test.csv" --config tuned.toml -o labelled.parquet
labelf report labelled.parquet -o report.html --gold intent=category
