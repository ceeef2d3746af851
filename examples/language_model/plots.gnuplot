# Draws the loss curves, readable on light and dark pages: gnuplot -e "data='FOLDER'" plots.gnuplot
set datafile separator tab
set datafile columnheaders
set terminal svg size 860,440 noenhanced font "sans-serif,13"
grey = "#808080"
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set xlabel "step" textcolor rgb grey
set ylabel "validation loss, nats a token" textcolor rgb grey
set key textcolor rgb grey top right
set grid linecolor rgb grey linewidth 0.3
array arm[4] = ["table-tied", "table-untied", "kronecker-untied", "kronecker-tied"]
array color[4] = ["#808080", "#d98324", "#3b82c4", "#4a9d5b"]
set output data."/loss.svg"
stats data."/curves.tsv" using 1 nooutput
set multiplot layout 1,2
plot for [i=1:4] data."/curves.tsv" using "step":arm[i] with lines linewidth 2 linecolor rgb color[i] title arm[i]
set title "the second half, without kronecker-tied" textcolor rgb grey
unset key
set xrange [STATS_max / 2:]
plot for [i=1:3] data."/curves.tsv" using "step":arm[i] with lines linewidth 2 linecolor rgb color[i]
unset multiplot
