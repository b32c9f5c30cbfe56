"""Wrong files, arguments and recipes are refused before torch, transformers or scikit-learn are loaded."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from w2s_probes.importing import import_activations
from w2s_probes.io.arrays import write_arrays
from w2s_probes.io.tables import write_table

MODEL = str(ROOT / "data" / "miniature" / "weak")
HEAVY = ("torch", "transformers", "nnsight", "sklearn", "matplotlib")
# One process for all cases: it stops at the first that loads something heavy, and none of them does.
ALL_IN_ONE = f"""
import contextlib, io, json, sys
from w2s_probes.cli import main
for words, said in json.load(sys.stdin):
    stderr = io.StringIO()
    code = None
    with contextlib.redirect_stderr(stderr):
        try:
            main(words)
        except SystemExit as ended:
            code = ended.code
    loaded = [name for name in {HEAVY} if name in sys.modules]
    line = stderr.getvalue()
    if code != 2 or loaded or said not in line or line.count(chr(10)) != 1:
        sys.exit(f"w2s {{' '.join(words)}}: code {{code}}, loaded {{loaded}}, said {{line!r}}, not {{said!r}}")
"""
CASES = """
extract MODEL --rows none.jsonl --out o | none.jsonl: no such file
extract MODEL --rows rows.xyz --out o | rows.xyz: unknown format
extract MODEL --rows bad.jsonl --out o | bad.jsonl, line 1: not JSON
extract MODEL --rows bare.jsonl --out o | bare.jsonl: no field 'text'
extract ./none --rows rows.jsonl --out o | model ./none: no such folder
extract no/such --rows rows.jsonl --out o | model no/such: neither a folder here nor
extract MODEL --rows rows.jsonl --out o --layers x | layer 'x' is not an index
extract MODEL --rows rows.jsonl --out o --chat-template none.jinja | chat template none.jinja: not a readable file
extract MODEL --rows rows.jsonl --out o --quantization 5bit | quantization '5bit': give 8bit, 4bit, or JSON
extract MODEL --rows rows.jsonl --out o --site resid | site 'resid': did you mean 'residual'?
extract MODEL --rows rows.jsonl --out o --site logits | site 'logits': say which tokens, such as logits:yes,no
extract MODEL --rows rows.jsonl --out o --site mlp --offload --quantization 4bit | --offload and --quantization exclude
extract some/model --rows rows.jsonl --out o --site mlp --remote | --remote reads the residual stream alone
extract MODEL --rows rows.jsonl --out o --position lst | position 'lst': did you mean 'last'?
extract MODEL --rows rows.jsonl --out o --position regex:( | not a regular expression
extract MODEL --rows rows.jsonl --out o --position a=last --position mean | several are stored, so give each a name
extract MODEL --rows rows.jsonl --position a=last --position b=mean | say by --out in which
extract MODEL --rows rows.jsonl --out o --position span --remote | --remote reads one of last, first, mean and all
plan MODEL --rows rows.jsonl --position a=last --position mean | several are stored, so give each a name
plan MODEL --rows rows.jsonl --chat-template none.jinja | chat template none.jinja: not a readable file
plan MODEL --rows 10 --tokens-per-row 5 --missing skip | --missing and --tokens-per-row exclude each other
plan MODEL --rows rows.jsonl --position role | give it as role:ROLE
plan MODEL --rows rows.jsonl --site mlp:x | site 'mlp:x': mlp has no tokens
extract MODEL --rows rows.jsonl --add | say by --out to which
extract MODEL --rows rows.jsonl --out o --offload --quantization 8bit | --offload and --quantization exclude each
extract some/model --rows rows.jsonl --out o --offload --remote | --offload and --remote exclude each other
extract MODEL --rows rows.jsonl --out o --offload --device-map auto | --offload has one block at a time on one device
extract MODEL --rows rows.jsonl --out o --offload --max-memory much | --max-memory 'much': give an amount of memory
extract MODEL --rows rows.jsonl --out o --scratch s | --scratch is of --offload: give that too
extract MODEL --rows rows.jsonl --out o --dtype float8 | 'float8' is not one of
doctor ./none | model ./none: no such folder
doctor MODEL --rows none.jsonl | none.jsonl: no such file
doctor MODEL --rows rows.xyz | rows.xyz: unknown format
doctor MODEL --store none | none: no such store
doctor none --model MODEL --rows rows.jsonl | none: no such store
doctor acts --model MODEL | give its --rows
doctor acts --model MODEL --rows none.jsonl | none.jsonl: no such file
doctor acts --model MODEL --rows other.jsonl | 4 of its 4 rows are not among those given
doctor acts --model ./none --rows rows.jsonl | model ./none: no such folder
doctor acts --model MODEL --rows rows.jsonl --layers 9 | layer 9 is outside
doctor acts --model MODEL --rows rows.jsonl --position all | holds one vector a row
doctor acts | acts: is a store: give the --model
doctor MODEL --sample 4 | --sample is of a STORE
doctor MODEL --layers x | layer 'x' is not an index
verify none | none: no such store
repair none | none: no such store
repair acts --rows rows.xyz | rows.xyz: unknown format
repair acts --model ./none | model ./none: no such folder
filter acts rows.jsonl --layer 1 --by topo --device cuda --out f.jsonl | is for logistic, mlp, channel and confident
filter acts rows.jsonl --layer 1 --by logistic --device GPU --out f.jsonl | --device 'GPU' is no device: give 'cpu'
sweep acts rows.jsonl --device gpu-0 --out s.csv | --device 'gpu-0' is no device: give 'cpu', 'cuda'
student acts rows.jsonl --layer 1 --device / --out s | --device '/' is no device
tokens acts rows.jsonl --layer 1 --device 0 --out t.jsonl | --device '0' is no device
push none s3://b/x | none: no such file, folder or store
push rows.jsonl b/x | b/x: not an address: give one such as
push rows.jsonl s3://key:secret@b/x | s3://…: holds credentials or a query
push s3://b/x s3://b/y | s3://b/x: is an address: bring it here first, by `w2s pull s3://b/x x`
verify hf://datasets/me/acts@main | hf://datasets/me/acts@main: is an address: bring it here first
repair s3://b/x | s3://b/x: is an address: bring it here first
doctor s3://b/m | s3://b/m: is an address: bring it here first
doctor m --store s3://b/x | s3://b/x: is an address: bring it here first
extract s3://b/m --rows rows.jsonl --out o | s3://b/m: is an address: bring it here first
extract MODEL --rows s3://b/r.jsonl --out o | s3://b/r.jsonl: is an address: bring it here first
extract MODEL --rows rows.jsonl --out s3://b/o | s3://b/o: is an address: give a place on this machine
import s3://b/a.npy --rows rows.jsonl --out o | s3://b/a.npy: is an address: bring it here first
sweep s3://b/x rows.jsonl --out o.csv | s3://b/x: is an address: bring it here first
sweep s3://key:secret@b/x rows.jsonl --out o.csv | s3://…: is an address: bring it here first, by `w2s pull`
sweep acts rows.jsonl --out s3://b/o.csv | s3://b/o.csv: is an address: give a place on this machine
filter acts s3://b/l.jsonl --layer 1 --out o.jsonl | s3://b/l.jsonl: is an address: bring it here first
predict s3://b/st --rows rows.jsonl --out o.jsonl | s3://b/st: is an address: bring it here first
compare s3://b/l.jsonl rows.jsonl | s3://b/l.jsonl: is an address: bring it here first
audit fold rows.jsonl s3://b/l.jsonl | s3://b/l.jsonl: is an address: bring it here first
run s3://b/r.toml --out o | s3://b/r.toml: is an address: bring it here first
run demo --out s3://b/o | s3://b/o: is an address: give a place on this machine
plan s3://b/r.toml | s3://b/r.toml: is an address: bring it here first
report s3://b/run | s3://b/run: is an address: bring it here first
results . s3://b/run | s3://b/run: is an address: bring it here first
cache gc s3://b/x | s3://b/x: is an address: bring it here first
pull b/x o | b/x: not an address
pull s3:// o | s3://: names no place
pull s3://b/x?token=1 o | s3://…: holds credentials or a query
pull file:///none/x o --layers x | layer 'x' is not an index
pull file:///none/x s3://b/o | s3://b/o: is an address: give a place on this machine
verify s3://b/x | : is an address: bring it here first
cache ls none | none: no such folder
import none.npy --rows rows.jsonl --out i | none.npy: no such file
import rows.xyz --rows rows.jsonl --out i | rows.xyz: unknown format
import acts.npy --rows rows.xyz --out i | rows.xyz: unknown format
import acts.npy --rows rows.jsonl --out i --dtype x | 'x' is not one of
import acts.npy --rows rows.jsonl --out i | layer 1 is the last
import acts.npy --rows rows.jsonl --out i --last-entry x | 'x' is not one of
import none --rows rows.jsonl --out i --layout vllm --layers 1 --position last | none: no such folder
import acts --rows rows.jsonl --out i --layout vllm --layers 1 | --layout vllm holds tokens: say --position
import acts --rows rows.jsonl --out i --layout vllm --layers 1 --position last | no file for 4 of 4 rows
import acts --rows rows.jsonl --out i --layout vllm --layers 1 --position last --model ./none | model ./none: no such
import acts --rows rows.jsonl --out i --layout lmprobe --position last | no file for 4 of 4 rows
import acts --rows rows.jsonl --out i --layout vllm --key a | no --key
import none.h5 --rows rows.jsonl --out i | by --mapping, or by --layout probelab
import none.h5 --rows rows.jsonl --out i --mapping states=x | none.h5: no such file
import none.h5 --rows rows.jsonl --out i --mapping stats=x | --mapping stats: did you mean 'states'
import none.h5 --rows rows.jsonl --out i --mapping x.toml | --mapping x.toml: give key=dataset
import rows.xyz --rows rows.jsonl --out i --layout probelab | rows.xyz: not a readable HDF5 file
import acts.npy --rows rows.jsonl --out i --chat-template own | --chat-template is for comparing tokens
plan none.toml | none.toml: no such recipe; the ones that come along are
plan bad.toml | bad.toml: not valid TOML
plan other.toml | other.toml: unknown key 'colour'
plan demo --rows 5 | --rows is for a model
plan demo --set data.n_train=x | data.n_train
plan ./none --rows 10 --tokens-per-row 5 | model ./none: no such folder
plan MODEL --rows none.jsonl | none.jsonl: no such file
plan MODEL --rows rows.xyz | rows.xyz: unknown format
plan MODEL --rows 10 | a number has no texts to count
plan MODEL --rows 10 --tokens-per-row 5 --test-rows 99 --weak 3 | a weak supervisor of AUROC 3
run none.toml --out o | none.toml: no such recipe
run bad.toml --out o | bad.toml: not valid TOML
run other.toml --out o | other.toml: unknown key 'colour'
run demo --out o --set data.n_train=x | data.n_train
run debate --out o --set debate.turns=1 | a debate needs at least 2
run demo --out o --set methods=control-debate-single | is a control of a debate
robust none.toml --out o | none.toml: no such recipe
robust bad.toml --out o | bad.toml: not valid TOML
robust demo --out o --set robustness.rates=[.7] | robustness.rates
robust demo --out rows.xyz | rows.xyz: is a file
demo --students x | 'x' is not one of
report none | none: no such folder
report . --out report.txt | report.txt: a report is an HTML file
sweep none labels.jsonl --out s.csv | none: no such store
sweep acts none.jsonl --out s.csv | none.jsonl: no such file
sweep acts rows.xyz --out s.csv | rows.xyz: unknown format
sweep acts bad.jsonl --out s.csv | bad.jsonl, line 1: not JSON
sweep acts rows.jsonl --out s.csv | rows.jsonl: no field 'label'
sweep acts labels.jsonl --out s.xyz | s.xyz: unknown format
sweep acts labels.jsonl --out s.csv --knn-k x | --knn-k 'x': give whole numbers
sweep acts labels.jsonl --out s.csv --layers x | layer 'x' is not an index
sweep acts labels.jsonl --out s.csv --test none.csv | none.csv: no such file
filter none labels.jsonl --layer 1 --out k.jsonl | none: no such store
filter acts none.jsonl --layer 1 --out k.jsonl | none.jsonl: no such file
filter acts rows.xyz --layer 1 --out k.jsonl | rows.xyz: unknown format
filter acts bad.jsonl --layer 1 --out k.jsonl | bad.jsonl, line 1: not JSON
filter acts rows.jsonl --layer 1 --out k.jsonl | rows.jsonl: no field 'label'
filter acts labels.jsonl --layer 9 --out k.jsonl | layer 9 is outside
filter acts labels.jsonl --layer 1 --out k.xyz | k.xyz: unknown format
filter acts labels.jsonl --layer 1 --out k.jsonl --by tropo | --by tropo: did you mean 'topo'
filter acts labels.jsonl --layer 1 --out k.jsonl --contamination 3 | contamination=3.0 must be in [0, 1)
filter acts labels.jsonl --layer 1 --out k.jsonl --audit none.csv | none.csv: no such file
filter acts labels.jsonl --layer best --out k.jsonl --from none.json | none.json: no record of a sweep there
relabel none labels.jsonl --layer 1 --out k.jsonl | none: no such store
foretell none labels.jsonl --layer 1 --out f.csv | none: no such store
foretell acts none.jsonl --layer 1 --out f.csv | none.jsonl: no such file
foretell acts rows.jsonl --layer 1 --out f.csv | rows.jsonl: no field 'label'
foretell acts labels.jsonl --layer 9 --out f.csv | layer 9 is outside
foretell acts labels.jsonl --layer 1 --out f.xyz | f.xyz: unknown format
foretell acts labels.jsonl --layer 1 --out f.csv --by nope | --by nope: known
foretell acts labels.jsonl --layer 1 --out f.csv --trusted none.csv | none.csv: no such file
foretell acts labels.jsonl --layer 1 --out f.csv --weak-store none | none: no such store
foretell acts labels.jsonl --layer best --out f.csv | take a sweep's choice
foretell acts labels.jsonl --layer 1 | needs --out here
foretell --run none | none: no folder of `w2s run`
foretell --run none --layer 1 | --layer is not read with --run
foretell acts --layer 1 --probe none.safetensors --probe none.txt | none.safetensors: not a readable
foretell acts --layer 1 --probe none.safetensors | give --probe twice or more
relabel acts none.jsonl --layer 1 --out k.jsonl | none.jsonl: no such file
relabel acts rows.xyz --layer 1 --out k.jsonl | rows.xyz: unknown format
relabel acts labels.jsonl --layer 1 --out k.jsonl --by nope | --by nope: known: contrast, graph, knn, logistic
student none labels.jsonl --layer 1 --out st | none: no such store
student acts none.jsonl --layer 1 --out st | none.jsonl: no such file
student acts rows.xyz --layer 1 --out st | rows.xyz: unknown format
student acts rows.jsonl --layer 1 --out st | rows.jsonl: no field 'label'
student acts labels.jsonl --layer 1 --out st --loss logcon | loss 'logcon': did you mean 'logconf'?
student acts labels.jsonl --layer 1 --out st --plugin none.py | none.py: cannot be read (No such file or directory)
filter acts labels.jsonl --layer 1 --out k.jsonl --plugin bad.jsonl | bad.jsonl: a plugin is a Python file
student labels.jsonl --kind lora --model MODEL --out st --tune engine=trainr | engine: input should be 'loop' or
student labels.jsonl --kind lora --model MODEL --out st --tune engine=trainer --tune accelerate=n.yaml | no such file
student acts labels.jsonl --layer 1 --out st --test none.csv | none.csv: no such file
ask MODEL --rows none.jsonl --out a.jsonl | none.jsonl: no such file
ask MODEL --rows rows.jsonl --answers no --out a.jsonl | answers 'no': give two words
ask MODEL --rows rows.jsonl --n-shots 4 --out a.jsonl | --n-shots are drawn from answered rows
ask ./none --rows rows.jsonl --out a.jsonl | model ./none: no such folder
ask MODEL --rows rows.jsonl --out a.xyz | a.xyz: unknown format
steer MODEL acts labels.jsonl --layer 0 --rows none.jsonl --out s.json | none.jsonl: no such file
steer MODEL none labels.jsonl --layer 0 --rows rows.jsonl --out s.json | none: no such store
steer MODEL acts none.jsonl --layer 0 --rows rows.jsonl --out s.json | none.jsonl: no such file
steer MODEL acts labels.jsonl --layer 9 --rows rows.jsonl --out s.json | layer 9 is outside
steer MODEL acts labels.jsonl --layer 1 --rows rows.jsonl --read layer:1 --out s.json | layer:1 is not after
steer MODEL acts labels.jsonl --layer 1 --rows rows.jsonl --read layer:x --out s.json | layer 'x' is not an index
steer MODEL acts labels.jsonl --layer 1 --rows rows.jsonl --read word --out s.json | --read 'word': give words
steer MODEL acts labels.jsonl --layer 0 --rows rows.jsonl --strength 1,inf --out s.json | a finite number is needed
steer MODEL acts labels.jsonl --layer 0 --rows rows.jsonl --by ablate --strength 1 --out s.json | is for --by add
steer MODEL acts labels.jsonl --layer 0 --rows rows.jsonl --random 0 --out s.json | --random 0: give at least 1
steer MODEL acts labels.jsonl --layer 0 --rows rows.jsonl --controls all --out s.json | --controls 'all'
steer MODEL acts labels.jsonl --layer 0 --rows rows.jsonl --probe knn --out s.json | it judges by neighbours
steer MODEL acts labels.jsonl --layer 0 --rows rows.jsonl --answers no --out s.json | answers 'no': give two words
steer MODEL acts labels.jsonl --layer 0 --rows rows.jsonl --out s.csv | s.csv: the record is a .json file
steer MODEL acts labels.jsonl --layer 0 --rows rows.jsonl --out s.json | are among those that the probe learned from
steer MODEL acts labels.jsonl --layer 0 --rows other.jsonl --out s.json | acts was made by no model
steer ./none acts labels.jsonl --layer 0 --rows other.jsonl --out s.json | model ./none: no such folder
debate MODEL --rows none.jsonl --out d.jsonl | none.jsonl: no such file
debate MODEL --rows rows.jsonl --out d.csv | d.csv: transcripts are a file of JSON lines
debate MODEL --rows rows.jsonl --turns 1 --out d.jsonl | turns=1: a debate needs at least 2
debate MODEL --rows rows.jsonl --members 0 --out d.jsonl | members=0: at least 1
debate MODEL --rows rows.jsonl --temperature 0 --out d.jsonl | temperature=0 gives all 4 members the same
debate MODEL --rows rows.jsonl --top-p 2 --out d.jsonl | top_p=2.0: give a number above 0
debate MODEL --rows rows.jsonl --names no --out d.jsonl | names 'no': give two
debate MODEL --rows rows.jsonl --task none --out d.jsonl | task 'none': no file
debate MODEL --rows rows.jsonl --prompts none.toml --out d.jsonl | prompts none.toml: not a readable file
debate MODEL --rows rows.jsonl --prompts bad.toml --out d.jsonl | prompts bad.toml: not TOML
debate MODEL --rows rows.jsonl --chat-template none.jinja --out d.jsonl | chat template none.jinja: not a readable
debate MODEL --rows rows.jsonl --protocol market-making --out d.jsonl | give its labels, P(1) of each row (--naive)
debate MODEL --rows rows.jsonl --naive labels.jsonl --out d.jsonl | and the protocol is debate
debate MODEL --rows rows.jsonl --shard 2/2 --out d.jsonl | shard '2/2': give i/n
debate MODEL --rows rows.jsonl --cache rows.jsonl --out d.jsonl | rows.jsonl: is a file; give a folder by --cache
debate ./none --rows rows.jsonl --out d.jsonl | model ./none: no such folder
combine labels.jsonl none.jsonl --out c.jsonl | none.jsonl: no such file
combine labels.jsonl --out c.jsonl | labels.jsonl: combining takes two label files or more
combine labels.jsonl rows.jsonl --out c.jsonl | rows.jsonl: no field 'label'
combine labels.jsonl labels.jsonl --out c.jsonl | labels.jsonl: stands twice
combine labels.jsonl rows.jsonl --out c.xyz | c.xyz: unknown format
combine labels.jsonl rows.jsonl --by means --out c.jsonl | 'means' is not one of
combine labels.jsonl rows.jsonl --trusted none.jsonl --out c.jsonl --by weights | none.jsonl: no such file
combine labels.jsonl rows.jsonl --trusted labels.jsonl --out c.jsonl | --trusted is for weights and dawid-skene
calibrate none.jsonl labels.jsonl --out c.json | none.jsonl: no such file
calibrate labels.jsonl none.jsonl --out c.json | none.jsonl: no such file
calibrate labels.jsonl --out c.txt | c.txt: unknown format
calibrate labels.jsonl --out labels.jsonl | labels.jsonl: is read by this command, too
calibrate labels.jsonl --by sigmoid --out c.json | 'sigmoid' is not one of
calibrate labels.jsonl --apply none.json --out c.jsonl | none.json: no such file: --apply takes a curve
calibrate labels.jsonl --apply labels.jsonl --out c.jsonl | labels.jsonl: not valid JSON
calibrate labels.jsonl --apply labels.jsonl --out c.json | c.json: --apply makes no curve: give a label file
calibrate labels.jsonl --apply labels.jsonl --by platt --out c.jsonl | --by platt is of a curve that is learned here
calibrate rows.jsonl labels.jsonl --out c.json | rows.jsonl: no `score` and no `label`
calibrate labels.jsonl:x labels.jsonl --out c.json | labels.jsonl: no column 'x'
calibrate labels.jsonl --out c.json | labels.jsonl: no `truth`: put it there, or give a file of labels
tokens none labels.jsonl --layer 1 --out t.jsonl | none: no such store
tokens none labels.jsonl --layer 1 --out t.xyz | t.xyz: unknown format
compare none.jsonl labels.jsonl | none.jsonl: no such file
compare rows.xyz labels.jsonl | rows.xyz: unknown format
compare labels.jsonl | there is nothing to compare it with
compare labels.jsonl labels.jsonl | labels.jsonl: given twice
compare labels.jsonl rows.jsonl | rows.jsonl: no `score` and no `label`
compare labels.jsonl labels.jsonl:x | labels.jsonl: no column 'x'
compare labels.jsonl labels.jsonl:label | no truth: neither labels.jsonl nor labels.jsonl:label
compare labels.jsonl labels.jsonl:label --truth none.csv | none.csv: no such file
compare labels.jsonl labels.jsonl:label --weak none.jsonl | none.jsonl: no such file
compare labels.jsonl labels.jsonl:label --weak labels.jsonl | PGR needs both
compare labels.jsonl labels.jsonl:label --metrics aurco | --metrics 'aurco': did you mean 'auroc'
compare labels.jsonl labels.jsonl:label --out c.txt | c.txt: unknown format
audit draw none.jsonl --by uniform --out a.csv | none.jsonl: no such file
audit draw rows.xyz --by uniform --out a.csv | rows.xyz: unknown format
audit draw labels.jsonl --by uniform --out a.txt | a.txt: unknown format; the name of an audit must end in
audit draw labels.jsonl --by uniform --out a.csv --format jsonl | a.csv: a file of --format jsonl ends in
audit draw labels.jsonl --by uniform --out labels.jsonl | labels.jsonl: is read by this command, too
audit draw labels.jsonl --by uniform --out a.csv --n 9 | --n 9: labels.jsonl has 4 training rows
audit draw labels.jsonl --by disagreement --out a.csv | --by disagreement goes by a probe's scores: give STORE
audit draw labels.jsonl --layer 1 --out a.csv | --layer is of a probe: give STORE before LABELS
audit draw acts labels.jsonl --n 2 --out a.csv | --by stratified with a STORE reads a layer of it: give --layer
audit draw acts labels.jsonl --layer 1 --by uniform --n 2 --out a.csv | --by uniform draws every row as likely
audit draw acts labels.jsonl --layer 1 --probe tropo --out a.csv | --probe tropo: did you mean 'topo'
audit draw acts labels.jsonl --layer 1 --l2 1 --out a.csv | --l2 is for logistic and mlp: leave it out with --probe knn
audit draw acts labels.jsonl --layer 9 --n 2 --out a.csv | layer 9 is outside
audit draw none labels.jsonl --layer 1 --n 2 --out a.csv | none: no such store
audit draw labels.jsonl --bins 2 --out a.csv | --bins is for --by stratified with a STORE
audit draw labels.jsonl --rows none.jsonl --out a.csv | none.jsonl: no such file
audit page none.csv --out a.html | none.csv: no such file
audit page labels.jsonl --out a.txt | a.txt: the page is an HTML file
audit page labels.jsonl --out a.html | labels.jsonl: no column 'truth'
audit page labels.jsonl --out a.html --saves x.txt | --saves x.txt: a file's name that ends in .csv
audit fold none.csv labels.jsonl | none.csv: no such file
audit fold labels.jsonl none.jsonl | none.jsonl: no such file
audit fold labels.jsonl labels.jsonl | labels.jsonl: no column 'truth'
audit fold labels.jsonl labels.jsonl --out o.txt | o.txt: unknown format
deception none.csv --student a --conflicted b | none.csv: no such file
deception rows.xyz --student a --conflicted b | rows.xyz: unknown format
deception labels.jsonl --student a --conflicted b | labels.jsonl: no column 'weak' for weak; known: label, text
deception labels.jsonl --student a --conflicted b --threshold 2 | --threshold 2: it must be in [.5, 1]
results none | none: no such folder
results . | no finished run in it
results . --out r.txt | r.txt: unknown format
schema json extract | extract: has no answer in JSON
schema xml | No such command: xml
student labels.jsonl --kind lora --out st | --kind lora needs --model
student labels.jsonl --kind lm --out st | --kind lm needs --model
student labels.jsonl --kind lm --model MODEL --answers no --out st | answers 'no': give two words
student labels.jsonl --kind lm --model MODEL --prompt x --out st | no {text} in it
student labels.jsonl --kind lm --model MODEL --tune x=1 --out st | unknown key 'x'
student none.jsonl --kind lm --model MODEL --out st | none.jsonl: no such file
student labels.jsonl --kind full --model MODEL --prompt x --out st | --prompt is of a model that says labels
student labels.jsonl --kind full --model ./none --out st | model ./none: no such folder
student labels.jsonl --kind full --model MODEL --tune x=1 --out st | unknown key 'x'
student none.jsonl --kind full --model MODEL --out st | none.jsonl: no such file
student labels.jsonl --kind full --model MODEL --test none.csv --out st | none.csv: no such file
student bare.jsonl --kind full --model MODEL --out st | bare.jsonl: no field 'label'
student labels.jsonl --model ./none --layer 1 --out st | model ./none: no such folder
student labels.jsonl --out st | a head reads one layer: give --layer
predict none --rows rows.jsonl --out p.csv | none: no such file or folder
predict . --rows rows.jsonl --out p.csv | .: holds no student
predict acts.npy --rows rows.jsonl --out p.csv | acts.npy: not a readable safetensors file
predict acts --rows rows.jsonl --out p.xyz | p.xyz: unknown format
predict probe.safetensors --rows rows.xyz --out p.csv | rows.xyz: unknown format
predict probe.safetensors --rows rows.jsonl --store none --out p.csv | none: no such store
predict probe.safetensors --rows rows.jsonl --out p.csv | it does not say which model it reads
predict probe.safetensors --rows rows.jsonl --store acts --out p.csv | it does not say which layer it reads
export none.jsonl --format hf --out e | none.jsonl: no such file
export rows.xyz --format hf --out e | rows.xyz: unknown format
export labels.jsonl --format hff --out e | format 'hff': did you mean 'hf'
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store, files that can be read, and files that cannot."""
    here = tmp_path_factory.mktemp("early")
    table = pd.DataFrame({"id": ["a", "b", "c", "d"], "text": ["w1", "w2", "w3", "w4"]})
    write_table(table, here / "rows.jsonl")
    write_table(table.assign(label=[0.1, 0.9, 0.2, 0.8]), here / "labels.jsonl")
    write_table(table[["id"]], here / "bare.jsonl")
    write_table(pd.DataFrame({"id": ["e"], "text": ["w5"]}), here / "other.jsonl")
    np.save(here / "acts.npy", np.arange(24, dtype=np.float32).reshape(4, 2, 3))
    import_activations(here / "acts.npy", here / "rows.jsonl", here / "acts", depth=2)
    write_arrays(here / "probe.safetensors", {}, {"probe": "KNNProbe"})
    (here / "rows.xyz").write_text("{}")
    (here / "bad.jsonl").write_text("no JSON\n")
    (here / "bad.toml").write_text("seeds = [")
    demo = (ROOT / "analyses" / "recipes" / "demo.toml").read_text()
    (here / "other.toml").write_text(f"colour = 1\n{demo}")
    return here


def cases() -> Iterator[tuple[list[str], str]]:
    """The words of each command, and what its one line holds."""
    for line in CASES.strip().splitlines():
        command, said = line.split(" | ")
        yield command.replace("MODEL", MODEL).split(), said


def test_no_refusal_loads_what_takes_seconds(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALL_IN_ONE],
        input=json.dumps(list(cases())),
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_is_among_the_cases() -> None:
    from w2s_probes.cli.app import VERBS

    assert {words[0] for words, _ in cases()} == set(VERBS)


@pytest.mark.parametrize("command", ["extract", "doctor", "repair", "student", "run", "sweep"])
def test_a_refusal_takes_about_a_second_of_processor_time(command: str, folder: Path) -> None:
    words = next(words for words, _ in cases() if words[0] == command)
    # Some .5 s on an idle machine, 3 to 9 with torch, transformers or scikit-learn. A machine with other work charges
    # up to five times as much now and then, so the quickest of three tries counts.
    taken: list[float] = []
    while len(taken) < 3 and min(taken, default=2) >= 2:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "w2s_probes", *words], capture_output=True, cwd=folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 2
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 2
