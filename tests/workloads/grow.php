<?php
# SPDX-License-Identifier: GPL-2.0-or-later
# A Zend heap that grows when told: each "go" keeps 13 chunks' worth more; says what the Zend heap has from the kernel.
$kept = [];
function remember(&$kept) {
	for ($i = 0; $i < 26; $i++)
		$kept[] = str_repeat("x", 1000000);
}
echo "ready ", getmypid(), "\n";
while (fgets(STDIN) !== false) {
	$before = memory_get_usage(true);
	remember($kept);
	echo "grown ", memory_get_usage(true) - $before, "\n";
	echo "done\n";
}
